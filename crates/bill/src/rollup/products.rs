//! Products: what the classifier makes of everything that a line says about what it is for.

use std::sync::Arc;

use costlens_domain::bill::Text;
use costlens_domain::classify::{Classification, Cloud, LineKey, Verdict, classify, has_seats, is_usage};
use hashbrown::HashMap;

use super::FirstKey;
use super::measures::Rule;
use crate::lines::PRODUCT_TEXTS;
use crate::lines::texts::{Code, Codes, Texts};

/// The codes of [`PRODUCT_TEXTS`].
type RestKey = [Code; PRODUCT_TEXTS.len()];

/// What a fact keeps of a product: the numbers of its texts and of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Product {
    pub(super) code: Code,
    pub(super) name: Code,
    pub(super) usage_type: Code,
    pub(super) operation: Code,
    pub(super) line_type: Code,
    pub(super) unit: Code,
    pub(super) entity: Code,
    pub(super) currency: Code,
    class: u32,
}

/// What is to be done with a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Its product; `None` for a line that is no AI after all.
    pub(super) product: Option<Kept>,
    /// How its amortised costs are found.
    pub(super) rule: Rule,
    /// Whether its quantity is use.
    pub(super) counts_usage: bool,
}

/// A product that is AI or may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) number: u32,
    pub(super) currency: Code,
    pub(super) service: Code,
    pub(super) verdict: Verdict,
    /// Whether it is of a service that people have seats of.
    pub(super) is_of_people: bool,
}

/// Every product once.
#[derive(Debug, Default)]
pub(super) struct Products {
    looks: HashMap<(u32, Codes<{ PRODUCT_TEXTS.len() }>), Look>,
    by_product: HashMap<Product, u32>,
    all: Vec<Product>,
    by_class: HashMap<Arc<Classification>, u32>,
    classes: Vec<Arc<Classification>>,
}

/// What a classification takes: its own size, its texts and its places in the table and in the list.
const PER_CLASS: usize = 512;

impl Products {
    /// About how many bytes of memory they take.
    pub(super) fn held_bytes(&self) -> usize {
        let looks = self.looks.len().saturating_mul(size_of::<(u32, RestKey, Look)>());
        let products = self.all.len().saturating_mul(size_of::<(Product, Product, u32)>());
        looks.saturating_add(products).saturating_add(self.classes.len().saturating_mul(PER_CLASS))
    }

    /// What a line is that says `rest` and, at first look, `first` with this number.
    pub(super) fn look(&mut self, number: u32, first: FirstKey, rest: RestKey, texts: &mut Texts) -> Look {
        if let Some(look) = self.looks.get(&(number, Codes(rest))) {
            return *look;
        }
        let look = self.classify(first, rest, texts);
        self.looks.insert((number, Codes(rest)), look);
        look
    }

    fn classify(&mut self, first: FirstKey, rest: RestKey, texts: &mut Texts) -> Look {
        let [line_type, _, entity, code, _, _, _, usage_type, operation, _] = first;
        let [name, .., unit] = rest;
        let [
            line_item_type,
            currency,
            billing_entity,
            product_code,
            _,
            product_family,
            service_category,
            usage,
            action,
            issuer,
        ] = texts.texts(first);
        let [product_name, description, provider, model, inference_type, feature, pricing_unit] =
            texts.texts(rest);
        let class = classify(&LineKey {
            cloud: Cloud::named(&issuer),
            product_code: &product_code,
            product_name: &product_name,
            product_family: &product_family,
            usage_type: &usage,
            operation: &action,
            description: &description,
            billing_entity: &billing_entity,
            line_item_type: &line_item_type,
            provider: &provider,
            model: &model,
            inference_type: &inference_type,
            feature: &feature,
            pricing_unit: &pricing_unit,
            service_category: &service_category,
        });
        // As it is read: `usd` and `USD` are one.
        let currency = texts.code(super::currency(&currency).as_str());
        let verdict = class.verdict;
        let product = (verdict != Verdict::NotAi).then(|| {
            let (service, is_of_people) = (texts.code(&class.service), has_seats(&class.service));
            let class = self.class(Arc::new(class));
            let number = self.product(Product {
                code,
                name,
                usage_type,
                operation,
                line_type,
                unit,
                entity,
                currency,
                class,
            });
            Kept { number, currency, service, verdict, is_of_people }
        });
        Look {
            product,
            rule: Rule::of(&line_item_type, &product_code, &description),
            counts_usage: is_usage(&line_item_type),
        }
    }

    fn product(&mut self, product: Product) -> u32 {
        *self.by_product.entry(product).or_insert_with(|| {
            self.all.push(product);
            number_of_last(&self.all)
        })
    }

    fn class(&mut self, class: Arc<Classification>) -> u32 {
        *self.by_class.entry(class).or_insert_with_key(|class| {
            self.classes.push(Arc::clone(class));
            number_of_last(&self.classes)
        })
    }

    /// Takes over another's products; answers their numbers here in the order of their numbers there.
    pub(super) fn absorb(&mut self, other: &Self, own: impl Fn(Code) -> Code) -> Vec<u32> {
        let classes: Vec<u32> = other.classes.iter().map(|class| self.class(Arc::clone(class))).collect();
        let take = |theirs: &Product| {
            let class = usize::try_from(theirs.class).ok().and_then(|at| classes.get(at)).copied();
            self.product(Product {
                code: own(theirs.code),
                name: own(theirs.name),
                usage_type: own(theirs.usage_type),
                operation: own(theirs.operation),
                line_type: own(theirs.line_type),
                unit: own(theirs.unit),
                entity: own(theirs.entity),
                currency: own(theirs.currency),
                class: class.unwrap_or(0),
            })
        };
        other.all.iter().map(take).collect()
    }

    /// In the order of their numbers, with their classes.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Product, &Arc<Classification>)> {
        self.all.iter().filter_map(|product| {
            let class = self.classes.get(usize::try_from(product.class).ok()?)?;
            Some((product, class))
        })
    }
}

fn number_of_last<T>(all: &[T]) -> u32 {
    u32::try_from(all.len().saturating_sub(1)).unwrap_or(u32::MAX)
}

impl Product {
    /// The texts that tell two products of one code, usage type and line type apart, for putting them in order.
    pub(super) fn order_texts(&self, texts: &Texts) -> [Text; 5] {
        texts.texts([self.operation, self.name, self.unit, self.entity, self.currency])
    }
}

//! Pass two: what each product is, from everything that its lines say, found once per way of saying it.
//!
//! Nearly always six cheap columns say which class a line has, although the model or the unit stands in a map or
//! a description: they follow from the usage type. Where they do not (one code, two models), the product is
//! unclear, and its lines are grouped by the dear columns too.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use costlens_domain::bill::Text;
use costlens_domain::classify::{Classification, LineKey, classify};

use super::row::Row;
use crate::{BillError, sql};

/// The texts of [`sql::KEY_TEXTS`].
pub(super) type Key = [Text; sql::KEY_TEXTS.len()];
/// The texts of [`sql::CLASS_TEXTS`].
pub(super) type Dear = [Text; sql::CLASS_TEXTS.len()];

/// A product's name and class.
#[derive(Clone)]
pub(super) struct Product {
    pub(super) name: Text,
    pub(super) class: Arc<Classification>,
}

/// What is known of products.
#[derive(Default)]
pub(super) struct Classes {
    by_key: HashMap<Key, Product>,
    in_full: HashMap<(Key, Dear), Product>,
    /// Each class once.
    shared: HashMap<Arc<Classification>, Arc<Classification>>,
    /// Product code and usage type of what six columns do not tell apart.
    unclear: BTreeSet<(Text, Text)>,
}

impl Classes {
    pub(super) fn add(&mut self, row: &mut Row<'_>) -> Result<(), BillError> {
        let key: Key = row.texts()?;
        let dear: Dear = row.texts()?;
        let product = self.look(&key, &dear);
        match self.by_key.get(&key) {
            Some(known) if known.class != product.class || known.name != product.name => {
                let [code, usage_type, ..] = key;
                self.unclear.insert((code, usage_type));
            }
            Some(_) => {}
            None => {
                self.by_key.insert(key, product);
            }
        }
        Ok(())
    }

    /// The product that these columns alone tell; `None` for one that they do not.
    pub(super) fn of_key(&self, key: &Key) -> Option<Product> {
        if self.is_unclear(key) {
            return None;
        }
        self.by_key.get(key).cloned()
    }

    /// The product that all columns tell; `None` for one that was clear without.
    pub(super) fn in_full(&mut self, key: Key, dear: Dear) -> Option<Product> {
        if !self.is_unclear(&key) {
            return None;
        }
        let place = (key, dear);
        if let Some(known) = self.in_full.get(&place) {
            return Some(known.clone());
        }
        let product = self.look(&place.0, &place.1);
        self.in_full.insert(place, product.clone());
        Some(product)
    }

    /// The condition for the lines of unclear products; `None` where all are clear.
    pub(super) fn unclear_filter(&self) -> Option<String> {
        let codes: BTreeSet<&str> = self.unclear.iter().map(|(code, _)| code.as_ref()).collect();
        let codes: Vec<&str> = codes.into_iter().collect();
        sql::filter(&codes, &[])
    }

    fn is_unclear(&self, key: &Key) -> bool {
        let [code, usage_type, ..] = key;
        !self.unclear.is_empty() && self.unclear.contains(&(code.clone(), usage_type.clone()))
    }

    fn look(&mut self, key: &Key, dear: &Dear) -> Product {
        let [product_code, usage_type, operation, line_item_type, pricing_unit, billing_entity] = key;
        let [
            product_name,
            product_family,
            description,
            provider,
            model,
            inference_type,
            feature,
            service_category,
        ] = dear;
        let found = Arc::new(classify(&LineKey {
            product_code,
            product_name,
            product_family,
            usage_type,
            operation,
            description,
            billing_entity,
            line_item_type,
            provider,
            model,
            inference_type,
            feature,
            pricing_unit,
            service_category,
        }));
        let class = Arc::clone(self.shared.entry(Arc::clone(&found)).or_insert(found));
        Product { name: product_name.clone(), class }
    }
}

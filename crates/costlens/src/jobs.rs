//! `costlens jobs`: durable work as the operator sees it, and what can be done about it.

use clap::{Args, Subcommand};
use costlens_domain::TenantId;
use costlens_domain::audit::Action;
use costlens_domain::ports::Clock as _;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{self, Cancelled, Filter, JobRow, State};
use costlens_queue::schedule;
use costlens_store::NewAuditEvent;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::boot::{Failure, Ledger};
use crate::cli::{LedgerArgs, print};
use crate::clock::SystemClock;
use crate::record;

#[derive(Args, Debug)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Subcommand, Debug)]
enum JobsCommand {
    /// How many jobs each queue has, and how long the oldest waits.
    Stats,
    /// List jobs, newest first, one JSON object a line.
    List {
        #[command(flatten)]
        which: Which,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Older than this job: the last id of the page before.
        #[arg(long)]
        before: Option<Uuid>,
    },
    /// Show one job with its attempts.
    Show {
        /// The job's id.
        id: Uuid,
    },
    /// Run a dead, waiting or retrying job now.
    Retry {
        /// The job's id.
        id: Uuid,
    },
    /// Cancel a job: at once if it has not begun, else its handler is asked to stop.
    Cancel {
        /// The job's id.
        id: Uuid,
    },
    /// Run dead jobs again, spread over time.
    Redrive {
        #[command(flatten)]
        which: Which,
        /// How many a second.
        #[arg(long, default_value_t = 10)]
        per_second: u32,
        /// How many at most.
        #[arg(long, default_value_t = 1000)]
        most: u32,
        /// Only say how many there are.
        #[arg(long)]
        preview: bool,
    },
    /// Give dead jobs up, with a reason that stays with them.
    Discard {
        #[command(flatten)]
        which: Which,
        /// Why.
        #[arg(long)]
        reason: String,
        /// How many at most.
        #[arg(long, default_value_t = 1000)]
        most: u32,
    },
    /// List the schedules and their next ticks.
    Schedules,
    /// Let a schedule rest.
    Pause {
        /// The schedule's name.
        schedule: String,
    },
    /// Let a schedule go on.
    Resume {
        /// The schedule's name.
        schedule: String,
    },
}

#[derive(Args, Debug)]
struct Which {
    /// Of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Of this tenant.
    #[arg(long)]
    tenant: Option<costlens_domain::TenantId>,
    /// In this state: scheduled, ready, running, retrying, waiting, done, dead or cancelled.
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Whose last failure was of this class: transient, throttled, customer_action, bug or expired.
    #[arg(long, value_parser = class)]
    class: Option<ErrorClass>,
}

fn state(text: &str) -> Result<State, String> {
    State::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| "no such state".to_owned())
}

fn class(text: &str) -> Result<ErrorClass, String> {
    ErrorClass::parse(text).ok_or_else(|| "no such class".to_owned())
}

impl Which {
    /// As the record tells it.
    fn told(&self) -> Value {
        // Whose is not said: an erasure would not find it here.
        json!({ "queue": self.queue, "of_one_tenant": self.tenant.is_some(), "error_class": self.class })
    }
}

impl From<Which> for Filter {
    fn from(which: Which) -> Self {
        let Which { queue, tenant, state, class } = which;
        Self { queue, tenant: tenant.map(costlens_domain::TenantId::uuid), state, class, code: None }
    }
}

pub(crate) async fn run(args: JobsArgs) -> Result<(), Failure> {
    let ledger = Ledger::of(&args.ledger).await?;
    let done = work(&ledger, args.command).await;
    ledger.close().await;
    done
}

async fn work(ledger: &Ledger, command: JobsCommand) -> Result<(), Failure> {
    let queue = ledger.queue()?;
    let mut conn = queue.conn().await?;
    match command {
        JobsCommand::Stats => {
            for stats in ops::stats(&mut conn).await? {
                print_json(&stats)?;
            }
        }
        JobsCommand::List { which, limit, before } => {
            let page = ops::list(&mut conn, &which.into(), before, limit).await?;
            page.items.iter().try_for_each(|job: &JobRow| print_json(job))?;
        }
        JobsCommand::Show { id } => {
            let job = ops::show(&mut conn, id, None).await?.ok_or("there is no such job")?;
            print(&format!("{}\n", serde_json::to_string_pretty(&job)?));
        }
        JobsCommand::Retry { id } => {
            let deed = Deed::to_job(&mut conn, Action::WorkflowRetried, id).await?;
            let act = async {
                if ops::retry_now(&mut conn, id, None).await? {
                    Ok(())
                } else {
                    Err("there is no such job, or it is running or done".into())
                }
            };
            recorded(ledger, deed, act).await?;
        }
        JobsCommand::Cancel { id } => {
            let deed = Deed::to_job(&mut conn, Action::WorkflowCancelled, id).await?;
            let act = async {
                match ops::cancel(&mut conn, id, None).await? {
                    Cancelled::Now => Ok("cancelled\n"),
                    Cancelled::Asked => Ok("asked to stop\n"),
                    Cancelled::TooLate => Err("the job has ended already".into()),
                    Cancelled::Unknown => Err("there is no such job".into()),
                }
            };
            print(recorded(ledger, deed, act).await?);
        }
        JobsCommand::Redrive { which, per_second, most, preview } => {
            let told = which.told();
            let tenant = which.tenant;
            let filter = which.into();
            let waiting = ops::redrive_preview(&mut conn, &filter).await?;
            if preview {
                print(&format!("{waiting} dead jobs would run again\n"));
            } else {
                let change = json!({ "which": told, "per_second": per_second, "most": most });
                let deed = Deed { action: Action::WorkflowsRedriven, target: None, change, tenant };
                let act = async { Ok(ops::redrive(&mut conn, &filter, per_second, most).await?) };
                let driven = recorded(ledger, deed, act).await?;
                print(&format!("{driven} of {waiting} dead jobs run again\n"));
            }
        }
        JobsCommand::Discard { which, reason, most } => {
            let change = json!({ "which": which.told(), "most": most, "reason": reason });
            let deed =
                Deed { action: Action::WorkflowsDiscarded, target: None, change, tenant: which.tenant };
            let filter = which.into();
            let act = async { Ok(ops::discard(&mut conn, &filter, &reason, most).await?) };
            let discarded = recorded(ledger, deed, act).await?;
            print(&format!("{discarded} dead jobs discarded\n"));
        }
        JobsCommand::Schedules => {
            for schedule in schedule::list(&mut conn, SystemClock.now()).await? {
                print_json(&schedule)?;
            }
        }
        JobsCommand::Pause { schedule } => {
            let deed = Deed::to_schedule(Action::SchedulePaused, &schedule);
            recorded(ledger, deed, pause(&mut conn, &schedule, true)).await?;
        }
        JobsCommand::Resume { schedule } => {
            let deed = Deed::to_schedule(Action::ScheduleResumed, &schedule);
            recorded(ledger, deed, pause(&mut conn, &schedule, false)).await?;
        }
    }
    Ok(())
}

async fn pause(conn: &mut costlens_queue::Conn, name: &str, paused: bool) -> Result<(), Failure> {
    if schedule::set_paused(conn, name, paused, SystemClock.now()).await? {
        Ok(())
    } else {
        Err(format!("there is no schedule {name}").into())
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&format!("{}\n", serde_json::to_string(value)?));
    Ok(())
}

/// What is about to be done.
struct Deed {
    action: Action,
    target: Option<String>,
    change: Value,
    /// Whose jobs they are, where they are one tenant's.
    tenant: Option<TenantId>,
}

impl Deed {
    async fn to_job(conn: &mut costlens_queue::Conn, action: Action, id: Uuid) -> Result<Self, Failure> {
        let job = ops::show(conn, id, None).await?.ok_or("there is no such job")?.job;
        let change = json!({ "queue": job.queue });
        Ok(Self { action, target: Some(id.to_string()), change, tenant: job.tenant.map(TenantId::from) })
    }

    fn to_schedule(action: Action, name: &str) -> Self {
        Self { action, target: Some(name.to_owned()), change: json!({}), tenant: None }
    }

    fn event(&self) -> NewAuditEvent {
        record::event(&SystemClock, self.action, self.target.clone(), self.change.clone())
    }
}

/// Writes a deed down, does it, and tells what became of it, as the API does for operators: no transaction holds both,
/// so the record comes first, and a second one tells of a deed that failed.
async fn recorded<T>(
    ledger: &Ledger,
    deed: Deed,
    act: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let event = deed.event();
    ledger.store.system().await?.note_operator_event(&event).await?;
    let done = match act.await {
        Ok(done) => done,
        Err(error) => {
            let change = json!({ "event": event.id, "action": deed.action });
            let failed = NewAuditEvent { action: Action::ActFailed, change, ..deed.event() };
            ledger.store.system().await?.note_operator_event(&failed).await?;
            return Err(error);
        }
    };
    if let Some(tenant) = deed.tenant {
        let mut conn = ledger.store.tenant(tenant).await?;
        conn.audit(&deed.event()).await?;
        conn.commit().await?;
    }
    Ok(done)
}

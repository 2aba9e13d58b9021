//! `costlens jobs`: durable work as the operator sees it, and what can be done about it.

use clap::{Args, Subcommand};
use costlens_domain::ports::Clock as _;
use costlens_queue::ErrorClass;
use costlens_queue::ops::{self, Cancelled, Filter, JobRow, State};
use costlens_queue::schedule;
use uuid::Uuid;

use crate::boot::{Failure, Ledger};
use crate::cli::{LedgerArgs, print};
use crate::clock::SystemClock;

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
    let queue = costlens_workers::queue(&ledger.runtime_url)?;
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
            if !ops::retry_now(&mut conn, id, None).await? {
                return Err("there is no such job, or it is running or done".into());
            }
        }
        JobsCommand::Cancel { id } => match ops::cancel(&mut conn, id, None).await? {
            Cancelled::Now => print("cancelled\n"),
            Cancelled::Asked => print("asked to stop\n"),
            Cancelled::TooLate => return Err("the job has ended already".into()),
            Cancelled::Unknown => return Err("there is no such job".into()),
        },
        JobsCommand::Redrive { which, per_second, most, preview } => {
            let filter = which.into();
            let waiting = ops::redrive_preview(&mut conn, &filter).await?;
            if preview {
                print(&format!("{waiting} dead jobs would run again\n"));
            } else {
                let driven = ops::redrive(&mut conn, &filter, per_second, most).await?;
                print(&format!("{driven} of {waiting} dead jobs run again\n"));
            }
        }
        JobsCommand::Discard { which, reason, most } => {
            let discarded = ops::discard(&mut conn, &which.into(), &reason, most).await?;
            print(&format!("{discarded} dead jobs discarded\n"));
        }
        JobsCommand::Schedules => {
            for schedule in schedule::list(&mut conn, SystemClock.now()).await? {
                print_json(&schedule)?;
            }
        }
        JobsCommand::Pause { schedule } => pause(&mut conn, &schedule, true).await?,
        JobsCommand::Resume { schedule } => pause(&mut conn, &schedule, false).await?,
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

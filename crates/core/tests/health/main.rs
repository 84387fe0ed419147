//! Health checks: schedules, runs, histories, statuses.

mod history;
mod runs;
mod schedule;
mod status;

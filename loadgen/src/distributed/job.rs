//! A worker's part of a run, from what came over the network to its result.

use super::message::Job;
use crate::LoadError;
use crate::engine::{self, RunOptions};
use crate::plan::{Piece, Plan, Template};
use crate::result::RunResult;

/// Makes the plan of a job and runs it: what a worker does unless it is told otherwise.
///
/// # Errors
/// The plan is refused, or the run could not be made.
pub fn run_job(job: &Job, options: &RunOptions) -> Result<RunResult, LoadError> {
    let (plan, hash) = plan_of(job)?;
    let mut result = engine::run(&plan, options)?;
    // The hash is what the workers' results are compared by when they are merged.
    result.meta.describe(&job.source, &hash);
    Ok(result)
}

/// The plan and its hash.
fn plan_of(job: &Job) -> Result<(Plan, String), LoadError> {
    let resolved = job.source.resolve().map_err(|error| LoadError::Refused(error.to_string()))?;
    let mut plan = resolved.plan;
    job.overrides.apply(&mut plan);
    if let Some(scaling) = &job.scaling {
        plan = scaling.apply(&plan).map_err(|error| LoadError::Refused(error.to_string()))?;
    }
    Ok((plan, resolved.hash))
}

impl super::Overrides {
    /// Changes a plan before it is scaled.
    pub fn apply(&self, plan: &mut Plan) {
        if let Some(seed) = self.seed {
            plan.seed = seed;
        }
        if let Some(bearer) = &self.bearer {
            plan.bearer = Some(Template(vec![Piece::Text(bearer.clone())]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Overrides;
    use super::*;
    use crate::capacity::{Knob, Scaling};
    use crate::engine::{JtlDeliveries, Share};
    use crate::plan::{PlanFormat, PlanSource};

    #[test]
    fn a_job_is_the_same_plan_everywhere() {
        let text = r#"
            target = "http://127.0.0.1:1/s"
            [[groups]]
            rate = "${__P(rate,5)}"
            duration = "10s"
            steps = [{ http = { path = "/" } }]
        "#;
        let source = PlanSource {
            file: "p.toml".into(),
            format: PlanFormat::Toml,
            text: text.to_owned(),
            properties: [("rate".to_owned(), "20".to_owned())].into(),
            data: std::collections::BTreeMap::new(),
            skip_unknown: false,
        };
        let overrides = Overrides { seed: Some(9), bearer: Some("secret".to_owned()) };
        let scaling = Some(Scaling { knob: Knob::Rate, value: 40.0, duration: None });
        let (rows, jtl_deliveries) = (false, JtlDeliveries::None);
        let share = Share::default();
        let job = Job { source, overrides, scaling, share, rows, jtl_deliveries };
        let text = serde_json::to_string(&job).expect("serializes");
        let job: Job = serde_json::from_str(&text).expect("reads");
        let (plan, hash) = plan_of(&job).expect("a plan");
        assert_eq!((plan.seed, plan.knob_value(Knob::Rate)), (9, Ok(40.0)));
        assert_eq!(plan.bearer, Some(Template(vec![Piece::Text("secret".to_owned())])));
        assert_eq!(hash, job.source.resolve().expect("a plan").hash);

        let mut broken = job.clone();
        broken.source.text.push_str("x = ");
        let error = run_job(&broken, &RunOptions::default()).expect_err("no plan").to_string();
        assert!(error.contains("p.toml"), "{error}");
        let mut readers = job;
        readers.scaling = Some(Scaling { knob: Knob::Readers, value: 4.0, duration: None });
        assert!(plan_of(&readers).is_err(), "it has none");
    }
}

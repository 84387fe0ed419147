//! The state of the account: its quota and its fine-tuned models.

use moorline_core::{error::Outcome, options::Read};
use reqwest::{Method, StatusCode};
use serde_json::Value as Json;

use super::{
    SERVICE,
    call_limits::CallLimits,
    connect::Exchange,
    reply::unreadable,
    request::check_id,
    service::{Nixtla, has_status},
};

impl Nixtla {
    /// Requests used and allowed, per minute and month, as the service says.
    pub async fn usage(&self, limits: &CallLimits) -> Outcome<Json> {
        let exchange = Exchange::get(&self.config.paths.usage);
        let usage = self.fetch("usage", &exchange, limits).await?;
        if !usage.is_object() {
            return Err(unreadable("the usage is not an object").during(SERVICE, "usage"));
        }
        Ok(usage)
    }

    /// The fine-tuned models of the account, as the service lists them.
    pub async fn finetuned_models(&self, limits: &CallLimits) -> Outcome<Json> {
        let exchange = Exchange::get(&self.config.paths.finetuned_models);
        let mut list = self.fetch("finetunedModels", &exchange, limits).await?;
        let is_model = |model: &Json| model.get("id").is_some_and(Json::is_string);
        list.get_mut("finetuned_models")
            .map(Json::take)
            .filter(|models| {
                models
                    .as_array()
                    .is_some_and(|models| models.iter().all(is_model))
            })
            .ok_or_else(|| {
                unreadable("finetuned_models is not a list of models with an id")
                    .during(SERVICE, "finetunedModels")
            })
    }

    /// One fine-tuned model, which may be deleted; `false` when there is no such model any more.
    pub async fn delete_finetuned_model(&self, id: &str, limits: &CallLimits) -> Outcome<bool> {
        let path = format!("{}/{id}", self.config.paths.finetuned_models);
        let exchange = Exchange {
            method: Method::DELETE,
            ..Exchange::get(&path)
        };
        match self.fetch("deleteFinetunedModel", &exchange, limits).await {
            Ok(_) => Ok(true),
            Err(failure) if has_status(&failure, StatusCode::NOT_FOUND) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Checks the name of a model before it becomes part of a path.
    pub fn check_model_id(id: &str) -> Read<()> {
        check_id("id", id)
    }
}

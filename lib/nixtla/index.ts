export { getNixtlaClient, NixtlaClient, resetNixtlaClient } from './client';
export type { CircuitBreakerState, NixtlaClientConfig, NixtlaPaths, NixtlaStats } from './client';
export { NixtlaJob } from './job';
export type { NixtlaCallOptions } from './job';
export type {
  NixtlaAnomaly,
  NixtlaAnomalyRequest,
  NixtlaAnomalyResponse,
  NixtlaCrossValidationRequest,
  NixtlaCrossValidationResponse,
  NixtlaFinetunedModel,
  NixtlaFinetuneRequest,
  NixtlaFinetuneResponse,
  NixtlaForecastRequest,
  NixtlaForecastResponse,
  NixtlaInterval,
  NixtlaJobs,
  NixtlaModelInfo,
  NixtlaOnlineAnomalyRequest,
  NixtlaPoint,
  NixtlaPrediction,
  NixtlaSeriesRequest,
  NixtlaUsage,
} from './messages';

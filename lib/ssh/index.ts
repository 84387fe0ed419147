export { SSHTunnel } from './tunnel';
export type { TunnelEvents, TunnelFacts, TunnelState, TunnelStats } from './tunnel';
export { postgresProfiles } from './profiles';
export type { PostgresProfiles } from './profiles';
export type {
  CredentialRequest,
  PromptFunction,
  ResolvedSSHHostConfig,
  ResolvedTunnelConfig,
  SecretFunction,
  SSHHostConfig,
  SSHPrompt,
  SSHPromptRequest,
  TunnelConfig,
  TunnelEnvironmentOptions,
} from './options';

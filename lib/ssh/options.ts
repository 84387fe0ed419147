import { isObject } from '../runtime/shape';

/** The server that a credential is asked for. */
export interface CredentialRequest {
  /** Its host. */
  host: string;
  /** The name of the user. */
  username: string;
}

/** A function that gives a secret, called before each attempt to connect. */
export type SecretFunction = (request: CredentialRequest) => string | Uint8Array | PromiseLike<string | Uint8Array>;

/** A question of a server. */
export interface SSHPrompt {
  /** Its text. */
  prompt: string;
  /** Whether the answer may be shown while it is typed. */
  echo: boolean;
}

/** What a server says with its questions. */
export interface SSHPromptRequest extends CredentialRequest {
  /** The title; may be empty. */
  name: string;
  /** What is said before the questions; may be empty. */
  instruction: string;
}

/** A function that answers a server's questions: an answer for each, in their order. */
export type PromptFunction = (
  prompts: SSHPrompt[],
  request: SSHPromptRequest,
) => readonly (string | Uint8Array)[] | PromiseLike<readonly (string | Uint8Array)[]>;

/** A server on the way, or at the end of it: how it is reached, how the user logs in, how its host key is verified. */
export interface SSHHostConfig {
  /** The host. */
  sshHost: string;
  /** The port. Default: 22. */
  sshPort?: number | undefined;
  /** The name of the user. */
  sshUsername: string;
  /** The file of the private key; `~` is the home directory. It is read again when it has changed. */
  sshKeyPath?: string | undefined;
  /** The private key itself, instead of `sshKeyPath`. */
  privateKey?: string | Uint8Array | undefined;
  /** The passphrase of the private key, or a function that gives it. */
  passphrase?: string | Uint8Array | SecretFunction | undefined;
  /** The certificate of the user: its text, or the path of its file. Default: the file `<sshKeyPath>-cert.pub`, if there is one. */
  certificate?: string | undefined;
  /** The socket of an agent, or `true` for that of `SSH_AUTH_SOCK`. Default: none. */
  agent?: string | boolean | undefined;
  /** The password, or a function that gives it. */
  password?: string | Uint8Array | SecretFunction | undefined;
  /** A function that answers the server's questions. */
  keyboardInteractive?: PromptFunction | undefined;
  /** The files that name the keys of hosts. Default: `~/.ssh/known_hosts` and the system's. */
  knownHosts?: string | readonly string[] | undefined;
  /** The fingerprint of the host's key, as `ssh-keygen -lf` prints it (`SHA256:…`), or several, instead of `knownHosts`. */
  hostKeyFingerprint?: string | readonly string[] | undefined;
  /** `'insecure'` accepts any host, with a warning in the log. Default: `'strict'`. */
  hostKeyVerification?: 'strict' | 'insecure' | undefined;
}

/** Options of an {@link SSHTunnel}. All times are in milliseconds. One credential at least is needed. */
export interface TunnelConfig extends SSHHostConfig {
  /** The servers that are gone through, in their order, each with its own user, credentials and host key. Default: none. */
  jumpHosts?: readonly SSHHostConfig[] | undefined;
  /** The host that `localPort` leads to, as the server sees it; needs `remotePort`. Default: `localhost`. */
  remoteHost?: string | undefined;
  /** The port that `localPort` leads to. */
  remotePort?: number | undefined;
  /** The Unix socket that `localPort` leads to, as the server sees it, instead of `remoteHost` and `remotePort`. */
  remoteSocketPath?: string | undefined;
  /** A port of 127.0.0.1 that leads to the remote host; 0 picks one. It is closed while the tunnel is. Default: none. */
  localPort?: number | undefined;
  /** The attempts to connect again after a loss. Default: that of the profile, else 3. */
  maxRetries?: number | undefined;
  /** The delay before the second attempt; it doubles with each, with jitter. Default: that of the profile, else 1000. */
  retryDelay?: number | undefined;
  /** The interval of the checks, which measure a round trip; `Infinity`: none. Default: 30 000. */
  healthCheckInterval?: number | undefined;
  /** The interval of keep-alives. Default: 15 000. */
  keepAliveIntervalMs?: number | undefined;
  /** The keep-alives without an answer after which a session is lost. Default: 3. */
  keepAliveCount?: number | undefined;
  /** The time limit of an attempt to connect, over all hosts. Default: 20 000. */
  connectTimeoutMs?: number | undefined;
  /** The maximum number of channels in one session. Default: that of the profile, else 10. */
  maxPoolSize?: number | undefined;
  /** The maximum number of sessions. Default: 10. */
  maxSessions?: number | undefined;
  /**
   * The profile of {@link postgresProfiles} whose numbers are the defaults; `false`: none. Default: `production` where the
   * environment variable `ENVIRONMENT`, else `NODE_ENV`, says so, else `development`.
   */
  profile?: 'development' | 'production' | false | undefined;
}

/** Options of `SSHTunnel.initializeFromEnv`; what is given here comes before the environment. */
export interface TunnelEnvironmentOptions extends Partial<TunnelConfig> {
  /** The file that gives the variables that are not set. Default: the nearest `.env.local`. */
  envFile?: string | undefined;
}

/** The options of a host in force. Secrets, and the functions that give them, are `[redacted]`. */
export interface ResolvedSSHHostConfig {
  sshHost: string;
  sshPort: number;
  sshUsername: string;
  sshKeyPath?: string;
  privateKey?: string;
  passphrase?: string;
  certificate?: string;
  agent?: string;
  password?: string;
  keyboardInteractive?: string;
  knownHosts?: string[];
  hostKeyFingerprint?: string[];
  hostKeyVerification: 'strict' | 'insecure';
}

/** The options of a tunnel in force. */
export interface ResolvedTunnelConfig extends ResolvedSSHHostConfig {
  jumpHosts: ResolvedSSHHostConfig[];
  remoteHost?: string;
  remotePort?: number;
  remoteSocketPath?: string;
  localPort?: number;
  maxRetries: number;
  retryDelay: number;
  healthCheckInterval: number;
  keepAliveIntervalMs: number;
  keepAliveCount: number;
  connectTimeoutMs: number;
  maxPoolSize: number;
  maxSessions: number;
}

/** The functions among the credentials of a host. */
export type CredentialFunctions = Partial<Record<'password' | 'passphrase' | 'keyboardInteractive', unknown>>;

/** A copy of the options, whose members are read once. What is no object is the addon's to refuse. */
export function copyOptions<Given>(given: Given): Given {
  if (!isObject(given) || Array.isArray(given)) return given;
  const copied: Record<string, unknown> = { ...given };
  const { jumpHosts } = copied;
  if (Array.isArray(jumpHosts)) {
    copied['jumpHosts'] = jumpHosts.map((host: unknown) =>
      isObject(host) && !Array.isArray(host) ? { ...host } : host,
    );
  }
  return copied as Given;
}

/** The functions of each host, in the order in which they are gone through. */
export function functionsOf(config: Partial<TunnelConfig>): CredentialFunctions[] {
  return [...(config.jumpHosts ?? []), config].map(({ password, passphrase, keyboardInteractive }) => ({
    password,
    passphrase,
    keyboardInteractive,
  }));
}

export declare function websocketPush(socket: Handle<Socket>, data: string | Uint8Array, isText: boolean): boolean;
export declare function websocketFlush(socket: Handle<Socket>): boolean;
export declare function websocketResume(socket: Handle<Socket>): void;
export declare function websocketPause(socket: Handle<Socket>): void;
export declare function websocketTerminate(socket: Handle<Socket>): void;
export declare function websocketKeepProcessAlive(keep: boolean): void;
export declare function websocketPushCall(
  socket: Handle<PolicySocket>,
  data: string | Uint8Array,
  isText: boolean,
): number;
export declare function websocketFlushCalls(socket: Handle<PolicySocket>): boolean;

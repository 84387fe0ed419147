export declare function websocketPush(socket: Handle<Socket>, data: string | Uint8Array, text: boolean): boolean;
export declare function websocketFlush(socket: Handle<Socket>): boolean;
export declare function websocketResume(socket: Handle<Socket>): void;
export declare function websocketPause(socket: Handle<Socket>): void;
export declare function websocketTerminate(socket: Handle<Socket>): void;
export declare function websocketKeep(keep: boolean): void;
export declare function websocketPushCall(
  caller: Handle<SocketCaller>,
  data: string | Uint8Array,
  text: boolean,
): number;
export declare function websocketFlushCalls(caller: Handle<SocketCaller>): boolean;

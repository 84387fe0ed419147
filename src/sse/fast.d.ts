export declare function sseKeepProcessAlive(keep: boolean): void;

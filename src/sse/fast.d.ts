export declare function sseKeep(keep: boolean): void;

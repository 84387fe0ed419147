export declare function objectPoolTake(pool: Handle<ObjectPool>): number | undefined;
export declare function objectPoolRelease(pool: Handle<ObjectPool>, object: number, usable: boolean): boolean;

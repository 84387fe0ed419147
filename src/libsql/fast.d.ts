export declare function libsqlTake(pool: Handle<LibsqlPool>): number | undefined;
export declare function libsqlRelease(pool: Handle<LibsqlPool>, lease: number): boolean;

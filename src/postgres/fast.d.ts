export declare function postgresTake(pool: Handle<PostgresPool>): number | undefined;
export declare function postgresConnectionId(pool: Handle<PostgresPool>, lease: number): number | undefined;
export declare function postgresTransactionStatus(pool: Handle<PostgresPool>, lease: number): number | undefined;
export declare function postgresRelease(pool: Handle<PostgresPool>, lease: number, usable: boolean): boolean;

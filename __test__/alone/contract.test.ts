import { testContract } from '../contract/contract';
import { subjects } from '../contract/subjects';

for (const subject of subjects) testContract(subject);

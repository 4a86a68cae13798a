// The operator's page: who looks, at whom, and which view is shown.

import { call, takeKey } from "./api.js";

takeKey();
call("inspect/api/who", { about: null });

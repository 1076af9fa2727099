"""Where items come from. Every source gives tables; `build` turns a task and its tables into items and judgements."""

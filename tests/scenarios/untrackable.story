story Neither session nor telephony session: counted, logged, passed over
call A session=0 telephony=none direction=out from=+16505551001 to=conference

| time | extension | call | status        |
| +0   | 2001      | A    | CallConnected |
| +30  | 2001      | A    | NoCall        |

expect 0 calls
ignored
  untrackable=2

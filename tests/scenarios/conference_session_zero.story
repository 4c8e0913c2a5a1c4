# "0" is no session: two conference legs with it are two calls, told apart by their telephony sessions.
story Conference legs share the session id 0
call A session=0 telephony=s-0000000000000000000000000000000a direction=out from=+16505551001 to=conference
call B session=0 telephony=s-0000000000000000000000000000000b direction=out from=+16505551002 to=conference

| time | extension | call | status        |
| +0   | 2001      | A    | CallConnected |
| +2   | 2002      | B    | CallConnected |
| +30  | 2001      | A    | NoCall        |
| +42  | 2002      | B    | NoCall        |

expect 2 calls
  A direction=out disposition=answered ring=0 talk=30 started=+0 ended=+30 telephony=s-0000000000000000000000000000000a
  B direction=out disposition=answered ring=0 talk=40 started=+2 ended=+42 telephony=s-0000000000000000000000000000000b

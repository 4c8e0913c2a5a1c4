story A small sequence within 60 s is stale, not a restart
call A session=900000020321 direction=in from=+14155550123 to=+16505551001

| time | extension | seq | call | status        |
| +0   | 2001      | 500 | A    | Ringing       |
| +5   | 2001      | 510 | A    | CallConnected |
| +50  | 2001      | 3   | A    | NoCall        |
| +70  | 2001      | 520 | A    | NoCall        |

expect 1 call
  A disposition=answered ring=5 talk=65 ended=+70
ignored
  stale_sequence=1

# Another subscription's copy: same uuid, long after the row was written.
story The end comes again five minutes later
call A session=900000024121 direction=in from=+14155550123 to=+16505551001

| time | extension | seq | call | status        | notes          |
| +0   | 2001      | 11  | A    | Ringing       |                |
| +3   | 2001      | 12  | A    | CallConnected |                |
| +9   | 2001      | 13  | A    | NoCall        | uuid=the-end   |
wait 5m
| +9   | 2001      | 13  | A    | NoCall        | uuid=the-end   |

expect 1 call
  A disposition=answered ring=3 talk=6 ended=+9
ignored
  duplicate=1

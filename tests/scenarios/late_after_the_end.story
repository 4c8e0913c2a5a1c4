story A stale item comes a minute after the end and resurrects nothing
call A session=900000024021 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        | notes    |
| +0   | 2001      | A    | Ringing       |          |
| +1   | 2001      | A    | Ringing       | late=60s |
| +3   | 2001      | A    | CallConnected |          |
| +9   | 2001      | A    | NoCall        |          |

expect 1 call
  A disposition=answered ring=3 talk=6 started=+0 answered=+3 ended=+9 legs=1
ignored
  stale_sequence=1

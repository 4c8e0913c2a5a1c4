story An assistant takes a call on behalf of someone else
call A session=900000032021 direction=in from=+14155550123 to=+16505551001 on-behalf-of=2003

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
| +3   | 2001      | A    | CallConnected |
| +9   | 2001      | A    | NoCall        |

expect 1 call
  A disposition=answered ring=3 talk=6 ext=2001 legs=1

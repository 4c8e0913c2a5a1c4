story The same number with and without its plus
call A session=900000021221 direction=in from=14155550123 to=+16505551001

| time | extension | call | status        | notes                             |
| +0   | 2001      | A    | Ringing       |                                   |
| +3   | 2001      | A    | CallConnected | from=+14155550123 to=16505551001  |
| +9   | 2001      | A    | NoCall        |                                   |

expect 1 call
  A from=+14155550123 to=+16505551001 legs=1 ring=3 talk=6

story The same uuid is a duplicate whatever its sequence says
call A session=900000025121 direction=in from=+14155550123 to=+16505551001

| time | extension | seq | call | status        | notes    |
| +0   | 2001      | 10  | A    | Ringing       | uuid=one |
| +2   | 2001      | 99  | A    | NoCall        | uuid=one |
| +3   | 2001      | 20  | A    | CallConnected |          |
| +9   | 2001      | 30  | A    | NoCall        |          |

expect 1 call
  A disposition=answered ring=3 talk=6 ended=+9
ignored
  duplicate=1

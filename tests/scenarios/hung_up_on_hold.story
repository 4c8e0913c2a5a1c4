story The caller gives up while on hold
call A session=900000008121 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
| +3   | 2001      | A    | CallConnected |
| +13  | 2001      | A    | OnHold        |
| +25  | 2001      | A    | NoCall        |

expect 1 call
  A disposition=answered ring=3 talk=10 hold=12 duration=22 ended=+25

story Held twice, resumed twice
call A session=900000008021 direction=in from=+14155550123 to=+16505551001

| time  | extension | call | status        |
| +0    | 2001      | A    | Ringing       |
| +3    | 2001      | A    | CallConnected |
| +13   | 2001      | A    | OnHold        |
| +20.5 | 2001      | A    | CallConnected |
| +30.5 | 2001      | A    | OnHold        |
| +33   | 2001      | A    | CallConnected |
| +40   | 2001      | A    | NoCall        |

expect 1 call
  A disposition=answered ring=3 talk=27 hold=10 duration=37 started=+0 answered=+3 ended=+40 legs=1

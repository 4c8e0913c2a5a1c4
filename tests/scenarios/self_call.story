story An extension calls itself: one session, two directions, two legs
call A session=900000012021 direction=out from=+16505551001 to=+16505551001 id=leg-out
leg A/in direction=in id=leg-in

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
|      |           | A/in | Ringing       |
| +5   | 2001      | A    | CallConnected |
|      |           | A/in | CallConnected |
| +12  | 2001      | A    | NoCall        |
|      |           | A/in | NoCall        |

expect 1 call
  A direction=out disposition=answered ring=5 talk=7 legs=2 ext=2001 started=+0 ended=+12

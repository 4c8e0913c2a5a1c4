story No session id, but a telephony session
call A session=none telephony=s-0000000000000000000000000000000c direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
| +2   | 2001      | A    | CallConnected |
| +30  | 2001      | A    | NoCall        |

expect 1 call
  A direction=in disposition=answered ring=2 talk=28

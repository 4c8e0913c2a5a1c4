# Without a start time in its items, a call begins with the first event that is seen.
story The first event is lost: the call begins connected
call A session=900000031121 direction=in from=+14155550123 to=+16505551001 start=none

| time | extension | call | status        | notes |
| +0   | 2001      | A    | Ringing       | lost  |
| +4   | 2001      | A    | CallConnected |       |
| +34  | 2001      | A    | NoCall        |       |

expect 1 call
  A disposition=answered ring=none talk=30 started=+4 answered=+4 ended=+34

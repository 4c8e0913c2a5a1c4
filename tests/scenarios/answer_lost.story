story The event of the answer never arrives: missed for presence, answered in the log
call A session=900000031021 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        | notes |
| +0   | 2001      | A    | Ringing       |       |
| +4   | 2001      | A    | CallConnected | lost  |
| +34  | 2001      | A    | NoCall        |       |

log A result=Accepted duration=34

expect 1 call
  A disposition=missed ring=34 talk=0 answered=none ended=+34
confirmed
  A disposition=answered result=Accepted duration=34

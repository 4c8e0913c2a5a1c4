# Newer payloads show a RingOut as two sessions with crossed numbers: one call for people, both in the records.
story A RingOut as two sessions
call A session=900000017000 direction=out from=+16505551001 to=+14155550123
call B session=900000018000 direction=in from=+14155550123 to=+16505551001

| time   | extension | call | status        |
| +0     | 2001      | A    | Ringing       |
| +0.09  | 2001      | B    | Ringing       |
|        |           | A    | Ringing       |
| +6     | 2001      | A    | CallConnected |
|        |           | B    | Ringing       |
| +6.09  | 2001      | B    | CallConnected |
|        |           | A    | CallConnected |
| +46    | 2001      | A    | NoCall        |
|        |           | B    | CallConnected |
| +46.09 | 2001      | B    | NoCall        |

expect 1 call
  A direction=out disposition=answered ring=6 talk=40 from=+16505551001 to=+14155550123 legs=1 started=+0 ended=+46
  B part-of=A direction=in

story A blank never overwrites what is known
call A session=900000021121 direction=in from=+14155550123 from-name="A Caller" to=+16505551001 to-name="Ann Archer"

| time | extension | call | status        | notes                     |
| +0   | 2001      | A    | Ringing       |                           |
| +3   | 2001      | A    | CallConnected | from="" from-name=""      |
| +9   | 2001      | A    | NoCall        | to="" to-name="" from=""  |

expect 1 call
  A from=+14155550123 to=+16505551001 from-name="A Caller" to-name="Ann Archer" disposition=answered ring=3 talk=6

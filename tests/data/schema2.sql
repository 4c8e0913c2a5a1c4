BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE call (
	account_id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	telephony_session_id TEXT, 
	direction TEXT NOT NULL, 
	internal INTEGER NOT NULL, 
	queue_call INTEGER NOT NULL, 
	extension_id TEXT, 
	from_number TEXT, 
	from_name TEXT, 
	from_raw TEXT, 
	to_number TEXT, 
	to_name TEXT, 
	to_raw TEXT, 
	started_at TEXT NOT NULL, 
	answered_at TEXT, 
	ended_at TEXT NOT NULL, 
	end_estimated INTEGER NOT NULL, 
	ring_ms INTEGER NOT NULL, 
	talk_ms INTEGER NOT NULL, 
	hold_ms INTEGER NOT NULL, 
	duration_ms INTEGER NOT NULL, 
	disposition TEXT NOT NULL, 
	result TEXT, 
	result_source TEXT, 
	end_source TEXT NOT NULL, 
	leg_count INTEGER NOT NULL, 
	events_accepted INTEGER NOT NULL, 
	events_ignored INTEGER NOT NULL, 
	part_of TEXT, 
	confirmed_at TEXT, 
	revision INTEGER NOT NULL, 
	updated_at TEXT NOT NULL, 
	CONSTRAINT pk_call PRIMARY KEY (account_id, session_id), 
	CONSTRAINT ck_call_direction CHECK (direction = 'Inbound' OR direction = 'Outbound'), 
	CONSTRAINT ck_call_disposition CHECK (disposition = 'answered' OR disposition = 'voicemail' OR disposition = 'missed' OR disposition = 'no_answer' OR disposition = 'busy' OR disposition = 'declined' OR disposition = 'abandoned' OR disposition = 'answered_elsewhere' OR disposition = 'blocked' OR disposition = 'failed' OR disposition = 'unknown'), 
	CONSTRAINT ck_call_end_source CHECK (end_source = 'presence' OR end_source = 'reconciled' OR end_source = 'call-log' OR end_source = 'expired'), 
	CONSTRAINT ck_call_result_source CHECK (result_source = 'presence' OR result_source = 'presence-read' OR result_source = 'active-calls' OR result_source = 'call-log'), 
	CONSTRAINT ck_call_end_estimated CHECK (end_estimated = 0 OR end_estimated = 1), 
	CONSTRAINT ck_call_span CHECK (ended_at >= started_at), 
	CONSTRAINT ck_call_internal CHECK (internal = 0 OR internal = 1), 
	CONSTRAINT ck_call_queue_call CHECK (queue_call = 0 OR queue_call = 1), 
	CONSTRAINT ck_call_durations CHECK (ring_ms >= 0 AND talk_ms >= 0 AND hold_ms >= 0 AND duration_ms >= 0)
)
 STRICT

;
INSERT INTO "call" VALUES('400100','1','s-1','Inbound',0,0,'101','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:00:00.000Z','2026-03-02T09:00:05.000Z','2026-03-02T09:00:40.000Z',0,5000,25000,10000,40000,'answered','Accepted','call-log','presence',1,5,0,NULL,'2026-03-02T09:00:40.000Z',2,'2026-03-02T09:04:00.000Z');
INSERT INTO "call" VALUES('400100','2',NULL,'Inbound',0,0,'102','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:01:00.000Z','2026-03-02T09:01:00.000Z','2026-03-02T09:01:30.000Z',0,0,30000,0,30000,'answered','Accepted','call-log','call-log',1,0,0,NULL,'2026-03-02T09:01:30.000Z',1,'2026-03-02T09:04:00.000Z');
INSERT INTO "call" VALUES('400100','2b',NULL,'Inbound',0,0,'102','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:01:10.000Z',NULL,'2026-03-02T09:01:22.000Z',0,0,0,0,12000,'missed','Missed','call-log','call-log',1,0,0,NULL,'2026-03-02T09:01:22.000Z',1,'2026-03-02T09:04:00.000Z');
INSERT INTO "call" VALUES('400100','3','s-3','Inbound',0,0,'103','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:01:40.000Z',NULL,'2026-03-02T09:01:58.000Z',0,18000,0,0,0,'missed',NULL,'presence','presence',1,2,0,NULL,NULL,1,'2026-03-02T09:04:00.000Z');
INSERT INTO "call" VALUES('400100','13','s-13','Inbound',0,0,'109','+16505550177',NULL,'16505550177','+18885434778',NULL,'18885434778','2026-03-02T09:00:50.000Z','2026-03-02T09:00:55.000Z','2026-03-02T09:01:05.000Z',0,5000,10000,0,10000,'answered',NULL,'presence','presence',1,3,0,NULL,NULL,1,'2026-03-02T09:04:00.000Z');
CREATE TABLE call_event (
	id INTEGER NOT NULL, 
	account_id TEXT NOT NULL, 
	session_id TEXT, 
	at TEXT NOT NULL, 
	received_at TEXT NOT NULL, 
	extension_id TEXT NOT NULL, 
	leg_id TEXT, 
	status TEXT NOT NULL, 
	sequence INTEGER, 
	source TEXT NOT NULL, 
	reason TEXT, 
	CONSTRAINT pk_call_event PRIMARY KEY (id), 
	CONSTRAINT ck_call_event_source CHECK (source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log')
)
 STRICT

;
INSERT INTO "call_event" VALUES(1,'400100','1','2026-03-02T09:00:00.000Z','2026-03-02T09:00:00.080Z','101','leg-1-101','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(2,'400100','1','2026-03-02T09:00:05.000Z','2026-03-02T09:00:05.080Z','101','leg-1-101','CallConnected',11,'presence',NULL);
INSERT INTO "call_event" VALUES(3,'400100','1','2026-03-02T09:00:15.000Z','2026-03-02T09:00:15.080Z','101','leg-1-101','OnHold',12,'presence',NULL);
INSERT INTO "call_event" VALUES(4,'400100','1','2026-03-02T09:00:25.000Z','2026-03-02T09:00:25.080Z','101','leg-1-101','CallConnected',13,'presence',NULL);
INSERT INTO "call_event" VALUES(5,'400100','1','2026-03-02T09:00:40.000Z','2026-03-02T09:00:40.080Z','101','leg-1-101','NoCall',14,'presence',NULL);
INSERT INTO "call_event" VALUES(6,'400100','3','2026-03-02T09:01:40.000Z','2026-03-02T09:01:40.080Z','103','leg-3-103','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(7,'400100','3','2026-03-02T09:01:58.000Z','2026-03-02T09:01:58.080Z','103','leg-3-103','NoCall',11,'presence',NULL);
INSERT INTO "call_event" VALUES(8,'400100','13','2026-03-02T09:00:50.000Z','2026-03-02T09:00:50.080Z','109','leg-13-109','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(9,'400100','13','2026-03-02T09:00:55.000Z','2026-03-02T09:00:55.080Z','109','leg-13-109','CallConnected',11,'presence',NULL);
INSERT INTO "call_event" VALUES(10,'400100','13','2026-03-02T09:01:05.000Z','2026-03-02T09:01:05.080Z','109','leg-13-109','NoCall',12,'presence',NULL);
INSERT INTO "call_event" VALUES(11,'400100','13','2026-03-02T09:02:10.000Z','2026-03-02T09:02:10.080Z','109','leg-13-b','CallConnected',20,'presence',NULL);
INSERT INTO "call_event" VALUES(12,'400100','9','2026-03-02T09:02:00.000Z','2026-03-02T09:02:00.080Z','104','leg-9-104','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(13,'400100','9','2026-03-02T09:02:04.000Z','2026-03-02T09:02:04.080Z','104','leg-9-104','CallConnected',11,'presence',NULL);
INSERT INTO "call_event" VALUES(14,'400100','10','2026-03-02T09:02:05.000Z','2026-03-02T09:02:05.080Z','104','leg-10-104','Ringing',12,'presence',NULL);
INSERT INTO "call_event" VALUES(15,'400100','4','2026-03-02T09:03:20.000Z','2026-03-02T09:03:20.080Z','201','leg-4-201','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(16,'400100','4','2026-03-02T09:03:20.000Z','2026-03-02T09:03:20.080Z','202','leg-4-202','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(17,'400100','4','2026-03-02T09:03:20.000Z','2026-03-02T09:03:20.080Z','203','leg-4-203','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(18,'400100','4','2026-03-02T09:03:26.000Z','2026-03-02T09:03:26.080Z','202','leg-4-202','CallConnected',11,'presence',NULL);
INSERT INTO "call_event" VALUES(19,'400100','4','2026-03-02T09:03:36.000Z','2026-03-02T09:03:36.080Z','202','leg-4-202','OnHold',12,'presence',NULL);
INSERT INTO "call_event" VALUES(20,'400100','4','2026-03-02T09:03:46.000Z','2026-03-02T09:03:46.080Z','202','leg-4-202','CallConnected',13,'presence',NULL);
INSERT INTO "call_event" VALUES(21,'400100','4','2026-03-02T09:03:56.000Z','2026-03-02T09:03:56.080Z','202','leg-4-202','OnHold',14,'presence',NULL);
INSERT INTO "call_event" VALUES(22,'400100','4','2026-03-02T09:03:26.500Z','2026-03-02T09:03:26.580Z','201','leg-4-201','NoCall',11,'presence',NULL);
INSERT INTO "call_event" VALUES(23,'400100','4','2026-03-02T09:03:26.500Z','2026-03-02T09:03:26.580Z','203','leg-4-203','NoCall',11,'presence',NULL);
INSERT INTO "call_event" VALUES(24,'400100','5','2026-03-02T09:04:00.000Z','2026-03-02T09:04:00.080Z','201','leg-5-201','Ringing',30,'presence',NULL);
INSERT INTO "call_event" VALUES(25,'400100','5','2026-03-02T09:04:00.000Z','2026-03-02T09:04:00.080Z','202','leg-5-202','Ringing',30,'presence',NULL);
INSERT INTO "call_event" VALUES(26,'400100','5','2026-03-02T09:04:00.000Z','2026-03-02T09:04:00.080Z','203','leg-5-203','Ringing',30,'presence',NULL);
INSERT INTO "call_event" VALUES(27,'400100','7','2026-03-02T09:03:30.000Z','2026-03-02T09:03:30.080Z','105','leg-7-105','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(28,'400100','7','2026-03-02T09:03:34.000Z','2026-03-02T09:03:34.080Z','105','leg-7-105','CallConnected',11,'presence',NULL);
INSERT INTO "call_event" VALUES(29,'400100','7','2026-03-02T09:03:50.000Z','2026-03-02T09:03:50.080Z','105','leg-7-105','ParkedCall',12,'presence',NULL);
INSERT INTO "call_event" VALUES(30,'400100','12','2026-03-02T09:03:52.000Z','2026-03-02T09:03:52.080Z','107','leg-12','CallConnected',NULL,'presence-read',NULL);
INSERT INTO "call_event" VALUES(31,'400100','6','2026-03-02T09:03:35.000Z','2026-03-02T09:03:35.080Z','108','leg-6-108','Ringing',10,'presence',NULL);
INSERT INTO "call_event" VALUES(32,'400100','6','2026-03-02T09:03:40.000Z','2026-03-02T09:03:40.080Z','108','leg-6-108','CallConnected',11,'presence',NULL);
INSERT INTO "call_event" VALUES(33,'400100','6','2026-03-02T09:03:58.000Z','2026-03-02T09:03:58.080Z','108','leg-6-108','NoCall',12,'presence',NULL);
CREATE TABLE call_leg (
	account_id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	leg_no INTEGER NOT NULL, 
	leg_id TEXT, 
	extension_id TEXT, 
	direction TEXT NOT NULL, 
	from_number TEXT, 
	from_name TEXT, 
	from_raw TEXT, 
	to_number TEXT, 
	to_name TEXT, 
	to_raw TEXT, 
	started_at TEXT NOT NULL, 
	answered_at TEXT, 
	ended_at TEXT, 
	status TEXT NOT NULL, 
	termination_type TEXT, 
	source TEXT NOT NULL, 
	queue_call INTEGER NOT NULL, 
	on_behalf_of TEXT, 
	CONSTRAINT pk_call_leg PRIMARY KEY (account_id, session_id, leg_no), 
	CONSTRAINT ck_call_leg_direction CHECK (direction = 'Inbound' OR direction = 'Outbound'), 
	CONSTRAINT ck_call_leg_source CHECK (source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log'), 
	CONSTRAINT ck_call_leg_status CHECK (status = 'NoCall' OR status = 'Ringing' OR status = 'ParkedCall' OR status = 'OnHold' OR status = 'CallConnected'), 
	CONSTRAINT ck_call_leg_termination_type CHECK (termination_type = 'final' OR termination_type = 'intermediate'), 
	CONSTRAINT ck_call_leg_queue_call CHECK (queue_call = 0 OR queue_call = 1)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "call_leg" VALUES('400100','1',1,'leg-1-101','101','Inbound','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:00:00.000Z','2026-03-02T09:00:05.000Z','2026-03-02T09:00:40.000Z','NoCall',NULL,'presence',0,NULL);
INSERT INTO "call_leg" VALUES('400100','10',1,'leg-10-104','104','Outbound','+16505550104',NULL,'16505550104','+16505550100',NULL,'16505550100','2026-03-02T09:02:05.000Z',NULL,NULL,'Ringing',NULL,'presence',0,NULL);
INSERT INTO "call_leg" VALUES('400100','12',1,'leg-12','107','Inbound','+16505550155',NULL,'16505550155','+18885434778',NULL,'18885434778','2026-03-02T09:03:25.000Z','2026-03-02T09:03:52.000Z',NULL,'CallConnected',NULL,'presence-read',0,NULL);
INSERT INTO "call_leg" VALUES('400100','13',1,'leg-13-109','109','Inbound','+16505550177',NULL,'16505550177','+18885434778',NULL,'18885434778','2026-03-02T09:00:50.000Z','2026-03-02T09:00:55.000Z','2026-03-02T09:01:05.000Z','NoCall',NULL,'presence',0,NULL);
INSERT INTO "call_leg" VALUES('400100','13',2,'leg-13-b','109','Inbound','+16505550177',NULL,'16505550177','+18885434778',NULL,'18885434778','2026-03-02T09:02:10.000Z','2026-03-02T09:02:10.000Z',NULL,'CallConnected',NULL,'presence',0,NULL);
INSERT INTO "call_leg" VALUES('400100','2',1,'r2','102','Inbound','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:01:00.000Z',NULL,'2026-03-02T09:01:30.000Z','NoCall',NULL,'call-log',0,NULL);
INSERT INTO "call_leg" VALUES('400100','2b',1,'r2b','102','Inbound','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:01:10.000Z',NULL,'2026-03-02T09:01:22.000Z','NoCall',NULL,'call-log',0,NULL);
INSERT INTO "call_leg" VALUES('400100','3',1,'leg-3-103','103','Inbound','+13027430863',NULL,'13027430863','+18885434778',NULL,'18885434778','2026-03-02T09:01:40.000Z',NULL,'2026-03-02T09:01:58.000Z','NoCall',NULL,'presence',0,NULL);
INSERT INTO "call_leg" VALUES('400100','4',1,'leg-4-201','201','Inbound','+16505550111','Zoë','16505550111','+18885434778',NULL,'18885434778','2026-03-02T09:03:20.000Z',NULL,'2026-03-02T09:03:26.500Z','NoCall',NULL,'presence',1,NULL);
INSERT INTO "call_leg" VALUES('400100','4',2,'leg-4-202','202','Inbound','+16505550111','Zoë','16505550111','+18885434778',NULL,'18885434778','2026-03-02T09:03:20.000Z','2026-03-02T09:03:26.000Z',NULL,'OnHold',NULL,'presence',1,NULL);
INSERT INTO "call_leg" VALUES('400100','4',3,'leg-4-203','203','Inbound','+16505550111','Zoë','16505550111','+18885434778',NULL,'18885434778','2026-03-02T09:03:20.000Z',NULL,'2026-03-02T09:03:26.500Z','NoCall',NULL,'presence',1,NULL);
INSERT INTO "call_leg" VALUES('400100','5',1,'leg-5-201','201','Inbound','+16505550122',NULL,'16505550122','+18885434778',NULL,'18885434778','2026-03-02T09:04:00.000Z',NULL,NULL,'Ringing',NULL,'presence',1,NULL);
INSERT INTO "call_leg" VALUES('400100','5',2,'leg-5-202','202','Inbound','+16505550122',NULL,'16505550122','+18885434778',NULL,'18885434778','2026-03-02T09:04:00.000Z',NULL,NULL,'Ringing',NULL,'presence',1,NULL);
INSERT INTO "call_leg" VALUES('400100','5',3,'leg-5-203','203','Inbound','+16505550122',NULL,'16505550122','+18885434778',NULL,'18885434778','2026-03-02T09:04:00.000Z',NULL,NULL,'Ringing',NULL,'presence',1,NULL);
INSERT INTO "call_leg" VALUES('400100','6',1,'leg-6-108','108','Inbound','+16505550166',NULL,'16505550166','+18885434778',NULL,'18885434778','2026-03-02T09:03:35.000Z','2026-03-02T09:03:40.000Z','2026-03-02T09:03:58.000Z','NoCall',NULL,'presence',0,NULL);
INSERT INTO "call_leg" VALUES('400100','7',1,'leg-7-105','105','Inbound','+16505550133',NULL,'16505550133','+18885434778',NULL,'18885434778','2026-03-02T09:03:30.000Z','2026-03-02T09:03:34.000Z',NULL,'ParkedCall',NULL,'presence',0,NULL);
INSERT INTO "call_leg" VALUES('400100','8',1,NULL,'106','Inbound','+16505550144',NULL,'16505550144','+18885434778',NULL,'18885434778','2026-03-02T09:03:10.000Z',NULL,NULL,'CallConnected',NULL,'active-calls',0,NULL);
INSERT INTO "call_leg" VALUES('400100','9',1,'leg-9-104','104','Inbound','+16505550100',NULL,'16505550100','+16505550104',NULL,'16505550104','2026-03-02T09:02:00.000Z','2026-03-02T09:02:04.000Z',NULL,'CallConnected',NULL,'presence',0,NULL);
CREATE TABLE call_source (
	account_id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	source TEXT NOT NULL, 
	record_id TEXT NOT NULL, 
	direction TEXT, 
	started_at TEXT, 
	ended_at TEXT, 
	duration_ms INTEGER, 
	result TEXT, 
	seen_at TEXT NOT NULL, 
	CONSTRAINT pk_call_source PRIMARY KEY (account_id, session_id, source, record_id), 
	CONSTRAINT ck_call_source_direction CHECK (direction = 'Inbound' OR direction = 'Outbound'), 
	CONSTRAINT ck_call_source_source CHECK (source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log')
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "call_source" VALUES('400100','1','call-log','r1','Inbound','2026-03-02T09:00:00.000Z','2026-03-02T09:00:40.000Z',40000,'Accepted','2026-03-02T09:00:40.000Z');
INSERT INTO "call_source" VALUES('400100','1','presence','','Inbound','2026-03-02T09:00:00.000Z','2026-03-02T09:00:40.000Z',35000,NULL,'2026-03-02T09:00:40.000Z');
INSERT INTO "call_source" VALUES('400100','13','presence','','Inbound','2026-03-02T09:00:50.000Z','2026-03-02T09:01:05.000Z',10000,NULL,'2026-03-02T09:01:05.000Z');
INSERT INTO "call_source" VALUES('400100','2','call-log','r2','Inbound','2026-03-02T09:01:00.000Z','2026-03-02T09:01:30.000Z',30000,'Accepted','2026-03-02T09:01:30.000Z');
INSERT INTO "call_source" VALUES('400100','2b','call-log','r2b','Inbound','2026-03-02T09:01:10.000Z','2026-03-02T09:01:22.000Z',12000,'Missed','2026-03-02T09:01:22.000Z');
INSERT INTO "call_source" VALUES('400100','3','presence','','Inbound','2026-03-02T09:01:40.000Z','2026-03-02T09:01:58.000Z',0,NULL,'2026-03-02T09:01:58.000Z');
INSERT INTO "call_source" VALUES('400100','8','active-calls','r8','Inbound','2026-03-02T09:03:10.000Z',NULL,50000,NULL,'2026-03-02T09:04:00.000Z');
CREATE TABLE call_state (
	account_id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	status TEXT NOT NULL, 
	direction TEXT, 
	extension_id TEXT, 
	from_number TEXT, 
	from_name TEXT, 
	to_number TEXT, 
	to_name TEXT, 
	started_at TEXT NOT NULL, 
	answered_at TEXT, 
	suspect INTEGER NOT NULL, 
	last_seen_at TEXT NOT NULL, 
	remembered_until TEXT, 
	state TEXT NOT NULL, 
	CONSTRAINT pk_call_state PRIMARY KEY (account_id, session_id), 
	CONSTRAINT ck_call_state_direction CHECK (direction = 'Inbound' OR direction = 'Outbound'), 
	CONSTRAINT ck_call_state_phase CHECK (phase = 'open' OR phase = 'settling' OR phase = 'finished'), 
	CONSTRAINT ck_call_state_status CHECK (status = 'NoCall' OR status = 'Ringing' OR status = 'ParkedCall' OR status = 'OnHold' OR status = 'CallConnected'), 
	CONSTRAINT ck_call_state_suspect CHECK (suspect = 0 OR suspect = 1)
)
 STRICT

;
INSERT INTO "call_state" VALUES('400100','1','finished','NoCall','Inbound','101','+13027430863',NULL,'+18885434778',NULL,'2026-03-02T09:00:00.000Z','2026-03-02T09:00:05.000Z',0,'2026-03-02T09:00:40.000Z','2026-03-02T10:04:00.000Z','{"account_id":"400100","session_id":"1","telephony_session_id":"s-1","phase":"finished","status":"NoCall","legs":[{"number":1,"leg_id":"leg-1-101","extension_id":"101","direction":"Inbound","status":"NoCall","live":false,"source":"presence","started_at":1772442000000,"answered_at":1772442005000,"ended_at":1772442040000,"termination":null,"from_party":["+13027430863",null,"13027430863"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":["r1"]}],"marks":{"101":[0,14,1772442040000]},"uuids":["101/10/1772442000000/18c226f5","101/11/1772442005000/f2ff5eca","101/12/1772442015000/d470ce3","101/13/1772442025000/f2ff5eca","101/14/1772442040000/c9aecfa4"],"opened_by":"presence","discovered_at":1772442000000,"last_seen_at":1772442040000,"started_at":1772442000000,"first_rung_at":1772442000000,"first_answered_at":1772442005000,"answered_hint":null,"ended_at":1772442040000,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":10000,"last_hold":[1772442015000,1772442025000],"suspect":false,"events_accepted":5,"events_ignored":0,"revision":2,"verdict":["call-log","r1","Accepted",1772442000000,40000,true,1772442040000,"101",false],"verdicts":{"r1":["call-log","r1","Accepted",1772442000000,40000,true,1772442040000,"101",false]},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","1"]}');
INSERT INTO "call_state" VALUES('400100','2','finished','NoCall','Inbound','102','+13027430863',NULL,'+18885434778',NULL,'2026-03-02T09:01:00.000Z',NULL,0,'2026-03-02T09:01:30.000Z','2026-03-02T10:04:00.000Z','{"account_id":"400100","session_id":"2","telephony_session_id":null,"phase":"finished","status":"NoCall","legs":[{"number":1,"leg_id":"r2","extension_id":"102","direction":"Inbound","status":"NoCall","live":false,"source":"call-log","started_at":1772442060000,"answered_at":null,"ended_at":1772442090000,"termination":null,"from_party":["+13027430863",null,"13027430863"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":["r2"]}],"marks":{},"uuids":[],"opened_by":"call-log","discovered_at":1772442090000,"last_seen_at":1772442090000,"started_at":1772442060000,"first_rung_at":null,"first_answered_at":null,"answered_hint":null,"ended_at":1772442090000,"end_source":"call-log","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":0,"events_ignored":0,"revision":1,"verdict":["call-log","r2","Accepted",1772442060000,30000,false,1772442090000,"102",false],"verdicts":{"r2":["call-log","r2","Accepted",1772442060000,30000,false,1772442090000,"102",false]},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","2"]}');
INSERT INTO "call_state" VALUES('400100','2b','finished','NoCall','Inbound','102','+13027430863',NULL,'+18885434778',NULL,'2026-03-02T09:01:10.000Z',NULL,0,'2026-03-02T09:01:22.000Z','2026-03-02T10:04:00.000Z','{"account_id":"400100","session_id":"2b","telephony_session_id":null,"phase":"finished","status":"NoCall","legs":[{"number":1,"leg_id":"r2b","extension_id":"102","direction":"Inbound","status":"NoCall","live":false,"source":"call-log","started_at":1772442070000,"answered_at":null,"ended_at":1772442082000,"termination":null,"from_party":["+13027430863",null,"13027430863"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":["r2b"]}],"marks":{},"uuids":[],"opened_by":"call-log","discovered_at":1772442082000,"last_seen_at":1772442082000,"started_at":1772442070000,"first_rung_at":null,"first_answered_at":null,"answered_hint":null,"ended_at":1772442082000,"end_source":"call-log","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":0,"events_ignored":0,"revision":1,"verdict":["call-log","r2b","Missed",1772442070000,12000,false,1772442082000,"102",false],"verdicts":{"r2b":["call-log","r2b","Missed",1772442070000,12000,false,1772442082000,"102",false]},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","2b"]}');
INSERT INTO "call_state" VALUES('400100','3','finished','NoCall','Inbound','103','+13027430863',NULL,'+18885434778',NULL,'2026-03-02T09:01:40.000Z',NULL,0,'2026-03-02T09:01:58.000Z','2026-03-03T10:04:00.000Z','{"account_id":"400100","session_id":"3","telephony_session_id":"s-3","phase":"finished","status":"NoCall","legs":[{"number":1,"leg_id":"leg-3-103","extension_id":"103","direction":"Inbound","status":"NoCall","live":false,"source":"presence","started_at":1772442100000,"answered_at":null,"ended_at":1772442118000,"termination":null,"from_party":["+13027430863",null,"13027430863"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"103":[0,11,1772442118000]},"uuids":["103/10/1772442100000/3301373b","103/11/1772442118000/e52cf5a4"],"opened_by":"presence","discovered_at":1772442100000,"last_seen_at":1772442118000,"started_at":1772442100000,"first_rung_at":1772442100000,"first_answered_at":null,"answered_hint":null,"ended_at":1772442118000,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":2,"events_ignored":0,"revision":1,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","3"]}');
INSERT INTO "call_state" VALUES('400100','13','open','CallConnected','Inbound','109','+16505550177',NULL,'+18885434778',NULL,'2026-03-02T09:00:50.000Z','2026-03-02T09:00:55.000Z',0,'2026-03-02T09:02:10.000Z',NULL,'{"account_id":"400100","session_id":"13","telephony_session_id":"s-13","phase":"open","status":"CallConnected","legs":[{"number":1,"leg_id":"leg-13-109","extension_id":"109","direction":"Inbound","status":"NoCall","live":false,"source":"presence","started_at":1772442050000,"answered_at":1772442055000,"ended_at":1772442065000,"termination":null,"from_party":["+16505550177",null,"16505550177"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]},{"number":2,"leg_id":"leg-13-b","extension_id":"109","direction":"Inbound","status":"CallConnected","live":true,"source":"presence","started_at":1772442130000,"answered_at":1772442130000,"ended_at":null,"termination":null,"from_party":["+16505550177",null,"16505550177"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"109":[0,20,1772442130000]},"uuids":["109/10/1772442050000/630ee6a0","109/11/1772442055000/eb1823ce","109/12/1772442065000/5fe25847","109/20/1772442130000/3172ddca"],"opened_by":"presence","discovered_at":1772442050000,"last_seen_at":1772442130000,"started_at":1772442050000,"first_rung_at":1772442050000,"first_answered_at":1772442055000,"answered_hint":null,"ended_at":1772442065000,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":4,"events_ignored":0,"revision":1,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","13"]}');
INSERT INTO "call_state" VALUES('400100','9','open','CallConnected','Inbound','104','+16505550100',NULL,'+16505550104',NULL,'2026-03-02T09:02:00.000Z','2026-03-02T09:02:04.000Z',1,'2026-03-02T09:02:04.000Z',NULL,'{"account_id":"400100","session_id":"9","telephony_session_id":"s-9","phase":"open","status":"CallConnected","legs":[{"number":1,"leg_id":"leg-9-104","extension_id":"104","direction":"Inbound","status":"CallConnected","live":true,"source":"presence","started_at":1772442120000,"answered_at":1772442124000,"ended_at":null,"termination":null,"from_party":["+16505550100",null,"16505550100"],"to_party":["+16505550104",null,"16505550104"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"104":[0,11,1772442124000]},"uuids":["104/10/1772442120000/6f14b1e8","104/11/1772442124000/ae9257b2"],"opened_by":"presence","discovered_at":1772442120000,"last_seen_at":1772442124000,"started_at":1772442120000,"first_rung_at":1772442120000,"first_answered_at":1772442124000,"answered_hint":null,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":true,"events_accepted":2,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":"10","internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","9"]}');
INSERT INTO "call_state" VALUES('400100','10','open','Ringing','Outbound','104','+16505550104',NULL,'+16505550100',NULL,'2026-03-02T09:02:05.000Z',NULL,0,'2026-03-02T09:02:05.000Z',NULL,'{"account_id":"400100","session_id":"10","telephony_session_id":"s-10","phase":"open","status":"Ringing","legs":[{"number":1,"leg_id":"leg-10-104","extension_id":"104","direction":"Outbound","status":"Ringing","live":true,"source":"presence","started_at":1772442125000,"answered_at":null,"ended_at":null,"termination":null,"from_party":["+16505550104",null,"16505550104"],"to_party":["+16505550100",null,"16505550100"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"104":[0,12,1772442125000]},"uuids":["104/12/1772442125000/62075f5"],"opened_by":"presence","discovered_at":1772442125000,"last_seen_at":1772442125000,"started_at":1772442125000,"first_rung_at":1772442125000,"first_answered_at":null,"answered_hint":null,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":1,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","10"]}');
INSERT INTO "call_state" VALUES('400100','4','open','OnHold','Inbound','202','+16505550111','Zoë','+18885434778',NULL,'2026-03-02T09:03:20.000Z','2026-03-02T09:03:26.000Z',1,'2026-03-02T09:03:56.000Z',NULL,'{"account_id":"400100","session_id":"4","telephony_session_id":"s-4","phase":"open","status":"OnHold","legs":[{"number":1,"leg_id":"leg-4-201","extension_id":"201","direction":"Inbound","status":"NoCall","live":false,"source":"presence","started_at":1772442200000,"answered_at":null,"ended_at":1772442206500,"termination":null,"from_party":["+16505550111","Zoë","16505550111"],"to_party":["+18885434778",null,"18885434778"],"queue_call":true,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]},{"number":2,"leg_id":"leg-4-202","extension_id":"202","direction":"Inbound","status":"OnHold","live":true,"source":"presence","started_at":1772442200000,"answered_at":1772442206000,"ended_at":null,"termination":null,"from_party":["+16505550111","Zoë","16505550111"],"to_party":["+18885434778",null,"18885434778"],"queue_call":true,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]},{"number":3,"leg_id":"leg-4-203","extension_id":"203","direction":"Inbound","status":"NoCall","live":false,"source":"presence","started_at":1772442200000,"answered_at":null,"ended_at":1772442206500,"termination":null,"from_party":["+16505550111","Zoë","16505550111"],"to_party":["+18885434778",null,"18885434778"],"queue_call":true,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"201":[0,11,1772442206500],"202":[0,14,1772442236000],"203":[0,11,1772442206500]},"uuids":["201/10/1772442200000/5ce65178","202/10/1772442200000/904697db","203/10/1772442200000/75a082c3","202/11/1772442206000/25a18108","202/12/1772442216000/5e9fd63d","202/13/1772442226000/25a18108","202/14/1772442236000/5e9fd63d","201/11/1772442206500/e329cbfd","203/11/1772442206500/168ca429"],"opened_by":"presence","discovered_at":1772442200000,"last_seen_at":1772442236000,"started_at":1772442200000,"first_rung_at":1772442200000,"first_answered_at":1772442206000,"answered_hint":null,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":1772442236000,"hold_ms":10000,"last_hold":[1772442216000,1772442226000],"suspect":true,"events_accepted":9,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","4"]}');
INSERT INTO "call_state" VALUES('400100','5','open','Ringing','Inbound','201','+16505550122',NULL,'+18885434778',NULL,'2026-03-02T09:04:00.000Z',NULL,0,'2026-03-02T09:04:00.000Z',NULL,'{"account_id":"400100","session_id":"5","telephony_session_id":"s-5","phase":"open","status":"Ringing","legs":[{"number":1,"leg_id":"leg-5-201","extension_id":"201","direction":"Inbound","status":"Ringing","live":true,"source":"presence","started_at":1772442240000,"answered_at":null,"ended_at":null,"termination":null,"from_party":["+16505550122",null,"16505550122"],"to_party":["+18885434778",null,"18885434778"],"queue_call":true,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]},{"number":2,"leg_id":"leg-5-202","extension_id":"202","direction":"Inbound","status":"Ringing","live":true,"source":"presence","started_at":1772442240000,"answered_at":null,"ended_at":null,"termination":null,"from_party":["+16505550122",null,"16505550122"],"to_party":["+18885434778",null,"18885434778"],"queue_call":true,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]},{"number":3,"leg_id":"leg-5-203","extension_id":"203","direction":"Inbound","status":"Ringing","live":true,"source":"presence","started_at":1772442240000,"answered_at":null,"ended_at":null,"termination":null,"from_party":["+16505550122",null,"16505550122"],"to_party":["+18885434778",null,"18885434778"],"queue_call":true,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"201":[0,30,1772442240000],"202":[0,30,1772442240000],"203":[0,30,1772442240000]},"uuids":["201/30/1772442240000/e44348b9","202/30/1772442240000/f780a579","203/30/1772442240000/484486d3"],"opened_by":"presence","discovered_at":1772442240000,"last_seen_at":1772442240000,"started_at":1772442240000,"first_rung_at":1772442240000,"first_answered_at":null,"answered_hint":null,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":3,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","5"]}');
INSERT INTO "call_state" VALUES('400100','7','open','ParkedCall','Inbound','105','+16505550133',NULL,'+18885434778',NULL,'2026-03-02T09:03:30.000Z','2026-03-02T09:03:34.000Z',0,'2026-03-02T09:03:50.000Z',NULL,'{"account_id":"400100","session_id":"7","telephony_session_id":"s-7","phase":"open","status":"ParkedCall","legs":[{"number":1,"leg_id":"leg-7-105","extension_id":"105","direction":"Inbound","status":"ParkedCall","live":true,"source":"presence","started_at":1772442210000,"answered_at":1772442214000,"ended_at":null,"termination":null,"from_party":["+16505550133",null,"16505550133"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"105":[0,12,1772442230000]},"uuids":["105/10/1772442210000/446105f6","105/11/1772442214000/c9290294","105/12/1772442230000/18c13a30"],"opened_by":"presence","discovered_at":1772442210000,"last_seen_at":1772442230000,"started_at":1772442210000,"first_rung_at":1772442210000,"first_answered_at":1772442214000,"answered_hint":null,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":1772442230000,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":3,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","7"]}');
INSERT INTO "call_state" VALUES('400100','8','open','CallConnected','Inbound','106','+16505550144',NULL,'+18885434778',NULL,'2026-03-02T09:03:10.000Z','2026-03-02T09:03:10.000Z',0,'2026-03-02T09:04:00.000Z',NULL,'{"account_id":"400100","session_id":"8","telephony_session_id":null,"phase":"open","status":"CallConnected","legs":[{"number":1,"leg_id":null,"extension_id":"106","direction":"Inbound","status":"CallConnected","live":true,"source":"active-calls","started_at":1772442190000,"answered_at":null,"ended_at":null,"termination":null,"from_party":["+16505550144",null,"16505550144"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":["r8"]}],"marks":{},"uuids":[],"opened_by":"active-calls","discovered_at":1772442240000,"last_seen_at":1772442240000,"started_at":1772442190000,"first_rung_at":null,"first_answered_at":null,"answered_hint":1772442190000,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":0,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":1772442240000,"hindsight":null,"_key":["400100","8"]}');
INSERT INTO "call_state" VALUES('400100','12','open','CallConnected','Inbound','107','+16505550155',NULL,'+18885434778',NULL,'2026-03-02T09:03:25.000Z','2026-03-02T09:03:52.000Z',0,'2026-03-02T09:03:52.000Z',NULL,'{"account_id":"400100","session_id":"12","telephony_session_id":null,"phase":"open","status":"CallConnected","legs":[{"number":1,"leg_id":"leg-12","extension_id":"107","direction":"Inbound","status":"CallConnected","live":true,"source":"presence-read","started_at":1772442205000,"answered_at":1772442232000,"ended_at":null,"termination":null,"from_party":["+16505550155",null,"16505550155"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":true,"records":[]}],"marks":{},"uuids":[],"opened_by":"presence-read","discovered_at":1772442232000,"last_seen_at":1772442232000,"started_at":1772442205000,"first_rung_at":1772442205000,"first_answered_at":null,"answered_hint":1772442232000,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":0,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":1772442232000,"hindsight":null,"_key":["400100","12"]}');
INSERT INTO "call_state" VALUES('400100','6','settling','NoCall','Inbound','108','+16505550166',NULL,'+18885434778',NULL,'2026-03-02T09:03:35.000Z','2026-03-02T09:03:40.000Z',0,'2026-03-02T09:03:58.000Z',NULL,'{"account_id":"400100","session_id":"6","telephony_session_id":"s-6","phase":"settling","status":"NoCall","legs":[{"number":1,"leg_id":"leg-6-108","extension_id":"108","direction":"Inbound","status":"NoCall","live":false,"source":"presence","started_at":1772442215000,"answered_at":1772442220000,"ended_at":1772442238000,"termination":null,"from_party":["+16505550166",null,"16505550166"],"to_party":["+18885434778",null,"18885434778"],"queue_call":false,"on_behalf_of":null,"start_estimated":false,"answer_estimated":false,"records":[]}],"marks":{"108":[0,12,1772442238000]},"uuids":["108/10/1772442215000/ec80278b","108/11/1772442220000/a7ff7b38","108/12/1772442238000/70239428"],"opened_by":"presence","discovered_at":1772442215000,"last_seen_at":1772442238000,"started_at":1772442215000,"first_rung_at":1772442215000,"first_answered_at":1772442220000,"answered_hint":null,"ended_at":null,"end_source":"presence","end_estimated":false,"hold_since":null,"hold_ms":0,"last_hold":null,"suspect":false,"events_accepted":3,"events_ignored":0,"revision":0,"verdict":null,"verdicts":{},"part_of":null,"internal":false,"start_estimated":false,"rung_estimated":false,"answered_by":null,"hindsight":null,"_key":["400100","6"]}');
CREATE TABLE call_transition (
	id INTEGER NOT NULL, 
	account_id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	at TEXT NOT NULL, 
	from_status TEXT, 
	to_status TEXT NOT NULL, 
	sequence INTEGER, 
	source TEXT NOT NULL, 
	CONSTRAINT pk_call_transition PRIMARY KEY (id), 
	CONSTRAINT ck_call_transition_from_status CHECK (from_status = 'NoCall' OR from_status = 'Ringing' OR from_status = 'ParkedCall' OR from_status = 'OnHold' OR from_status = 'CallConnected'), 
	CONSTRAINT ck_call_transition_source CHECK (source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log'), 
	CONSTRAINT ck_call_transition_to_status CHECK (to_status = 'NoCall' OR to_status = 'Ringing' OR to_status = 'ParkedCall' OR to_status = 'OnHold' OR to_status = 'CallConnected')
)
 STRICT

;
INSERT INTO "call_transition" VALUES(1,'400100','1','2026-03-02T09:00:00.000Z',NULL,'Ringing',10,'presence');
INSERT INTO "call_transition" VALUES(2,'400100','1','2026-03-02T09:00:05.000Z','Ringing','CallConnected',11,'presence');
INSERT INTO "call_transition" VALUES(3,'400100','1','2026-03-02T09:00:15.000Z','CallConnected','OnHold',12,'presence');
INSERT INTO "call_transition" VALUES(4,'400100','1','2026-03-02T09:00:25.000Z','OnHold','CallConnected',13,'presence');
INSERT INTO "call_transition" VALUES(5,'400100','1','2026-03-02T09:00:40.000Z','CallConnected','NoCall',14,'presence');
INSERT INTO "call_transition" VALUES(6,'400100','3','2026-03-02T09:01:40.000Z',NULL,'Ringing',10,'presence');
INSERT INTO "call_transition" VALUES(7,'400100','3','2026-03-02T09:01:58.000Z','Ringing','NoCall',11,'presence');
INSERT INTO "call_transition" VALUES(8,'400100','13','2026-03-02T09:00:50.000Z',NULL,'Ringing',10,'presence');
INSERT INTO "call_transition" VALUES(9,'400100','13','2026-03-02T09:00:55.000Z','Ringing','CallConnected',11,'presence');
INSERT INTO "call_transition" VALUES(10,'400100','13','2026-03-02T09:01:05.000Z','CallConnected','NoCall',12,'presence');
INSERT INTO "call_transition" VALUES(11,'400100','13','2026-03-02T09:02:10.000Z','NoCall','CallConnected',20,'presence');
INSERT INTO "call_transition" VALUES(12,'400100','9','2026-03-02T09:02:00.000Z',NULL,'Ringing',10,'presence');
INSERT INTO "call_transition" VALUES(13,'400100','9','2026-03-02T09:02:04.000Z','Ringing','CallConnected',11,'presence');
INSERT INTO "call_transition" VALUES(14,'400100','10','2026-03-02T09:02:05.000Z',NULL,'Ringing',12,'presence');
INSERT INTO "call_transition" VALUES(15,'400100','4','2026-03-02T09:03:20.000Z',NULL,'Ringing',10,'presence');
INSERT INTO "call_transition" VALUES(16,'400100','4','2026-03-02T09:03:26.000Z','Ringing','CallConnected',11,'presence');
INSERT INTO "call_transition" VALUES(17,'400100','4','2026-03-02T09:03:36.000Z','CallConnected','OnHold',12,'presence');
INSERT INTO "call_transition" VALUES(18,'400100','4','2026-03-02T09:03:46.000Z','OnHold','CallConnected',13,'presence');
INSERT INTO "call_transition" VALUES(19,'400100','4','2026-03-02T09:03:56.000Z','CallConnected','OnHold',14,'presence');
INSERT INTO "call_transition" VALUES(20,'400100','5','2026-03-02T09:04:00.000Z',NULL,'Ringing',30,'presence');
INSERT INTO "call_transition" VALUES(21,'400100','7','2026-03-02T09:03:30.000Z',NULL,'Ringing',10,'presence');
INSERT INTO "call_transition" VALUES(22,'400100','7','2026-03-02T09:03:34.000Z','Ringing','CallConnected',11,'presence');
INSERT INTO "call_transition" VALUES(23,'400100','7','2026-03-02T09:03:50.000Z','CallConnected','ParkedCall',12,'presence');
INSERT INTO "call_transition" VALUES(24,'400100','8','2026-03-02T09:04:00.000Z',NULL,'CallConnected',NULL,'active-calls');
INSERT INTO "call_transition" VALUES(25,'400100','12','2026-03-02T09:03:52.000Z',NULL,'CallConnected',NULL,'presence-read');
INSERT INTO "call_transition" VALUES(26,'400100','6','2026-03-02T09:03:35.000Z',NULL,'Ringing',10,'presence');
INSERT INTO "call_transition" VALUES(27,'400100','6','2026-03-02T09:03:40.000Z','Ringing','CallConnected',11,'presence');
INSERT INTO "call_transition" VALUES(28,'400100','6','2026-03-02T09:03:58.000Z','CallConnected','NoCall',12,'presence');
CREATE TABLE coverage_span (
	account_id TEXT NOT NULL, 
	from_at TEXT NOT NULL, 
	until_at TEXT NOT NULL, 
	state TEXT NOT NULL, 
	cause TEXT, 
	recovered_calls INTEGER NOT NULL, 
	CONSTRAINT pk_coverage_span PRIMARY KEY (account_id, from_at), 
	CONSTRAINT ck_coverage_span_state CHECK (state = 'live' OR state = 'doubtful' OR state = 'blind' OR state = 'healed'), 
	CONSTRAINT ck_coverage_span_recovered_calls CHECK (recovered_calls >= 0), 
	CONSTRAINT ck_coverage_span_span CHECK (until_at >= from_at)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "coverage_span" VALUES('400100','2026-03-02T09:00:00.000Z','2026-03-02T09:04:00.000Z','live',NULL,0);
CREATE TABLE extension (
	account_id TEXT NOT NULL, 
	extension_id TEXT NOT NULL, 
	telephony_status TEXT NOT NULL, 
	presence_status TEXT, 
	user_status TEXT, 
	dnd_status TEXT, 
	since TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	last_sequence INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	epoch_started_at TEXT NOT NULL, 
	extension_number TEXT, 
	name TEXT, 
	CONSTRAINT pk_extension PRIMARY KEY (account_id, extension_id), 
	CONSTRAINT ck_extension_telephony_status CHECK (telephony_status = 'NoCall' OR telephony_status = 'Ringing' OR telephony_status = 'ParkedCall' OR telephony_status = 'OnHold' OR telephony_status = 'CallConnected')
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "extension" VALUES('400100','101','NoCall',NULL,NULL,NULL,'2026-03-02T09:00:40.000Z','2026-03-02T09:00:40.000Z',14,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','103','NoCall',NULL,NULL,NULL,'2026-03-02T09:01:58.000Z','2026-03-02T09:01:58.000Z',11,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','104','CallConnected',NULL,NULL,NULL,'2026-03-02T09:02:04.000Z','2026-03-02T09:02:05.000Z',12,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','105','ParkedCall',NULL,NULL,NULL,'2026-03-02T09:03:50.000Z','2026-03-02T09:03:50.000Z',12,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','106','CallConnected',NULL,NULL,NULL,'2026-03-02T09:04:00.000Z','1970-01-01T00:00:00.000Z',-1,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','107','CallConnected',NULL,NULL,NULL,'2026-03-02T09:03:52.000Z','1970-01-01T00:00:00.000Z',-1,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','108','NoCall',NULL,NULL,NULL,'2026-03-02T09:03:58.000Z','2026-03-02T09:03:58.000Z',12,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','109','CallConnected',NULL,NULL,NULL,'2026-03-02T09:02:10.000Z','2026-03-02T09:02:10.000Z',20,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','201','Ringing',NULL,NULL,NULL,'2026-03-02T09:04:00.000Z','2026-03-02T09:04:00.000Z',30,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','202','OnHold',NULL,NULL,NULL,'2026-03-02T09:03:56.000Z','2026-03-02T09:04:00.000Z',30,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
INSERT INTO "extension" VALUES('400100','203','Ringing',NULL,NULL,NULL,'2026-03-02T09:04:00.000Z','2026-03-02T09:04:00.000Z',30,0,'1970-01-01T00:00:00.000Z',NULL,NULL);
CREATE TABLE feed_position (
	feed TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	token TEXT NOT NULL, 
	at TEXT NOT NULL, 
	CONSTRAINT pk_feed_position PRIMARY KEY (feed, "key")
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "feed_position" VALUES('pubnub','key2','17000000000000000','2026-03-02T09:03:59.000Z');
INSERT INTO "feed_position" VALUES('websocket','key','token-of-old','2026-03-02T09:03:59.000Z');
CREATE TABLE observation (
	id INTEGER NOT NULL, 
	account_id TEXT NOT NULL, 
	received_at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_observation PRIMARY KEY (id), 
	CONSTRAINT ck_observation_kind CHECK (kind = 'presence' OR kind = 'record')
)
 STRICT

;
INSERT INTO "observation" VALUES(1,'400100','2026-03-02T09:00:00.080Z','presence','["400100","101",1772442000000,1772442000080,10,"101/10/1772442000000/18c226f5",[["1","s-1","leg-1-101","Inbound","Ringing","Ringing",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(2,'400100','2026-03-02T09:00:05.080Z','presence','["400100","101",1772442005000,1772442005080,11,"101/11/1772442005000/f2ff5eca",[["1","s-1","leg-1-101","Inbound","CallConnected","CallConnected",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(3,'400100','2026-03-02T09:00:15.080Z','presence','["400100","101",1772442015000,1772442015080,12,"101/12/1772442015000/d470ce3",[["1","s-1","leg-1-101","Inbound","OnHold","OnHold",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(4,'400100','2026-03-02T09:00:25.080Z','presence','["400100","101",1772442025000,1772442025080,13,"101/13/1772442025000/f2ff5eca",[["1","s-1","leg-1-101","Inbound","CallConnected","CallConnected",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(5,'400100','2026-03-02T09:00:40.080Z','presence','["400100","101",1772442040000,1772442040080,14,"101/14/1772442040000/c9aecfa4",[["1","s-1","leg-1-101","Inbound","NoCall","NoCall",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(6,'400100','2026-03-02T09:00:40.000Z','record','["400100","1",null,"r1","call-log","Inbound",["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],"101",1772442000000,40000,"Accepted",null,false,1772442040000,null,false,false,true,null,null,[]]');
INSERT INTO "observation" VALUES(7,'400100','2026-03-02T09:01:30.000Z','record','["400100","2",null,"r2","call-log","Inbound",["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],"102",1772442060000,30000,"Accepted",null,false,1772442090000,null,false,false,false,null,null,[]]');
INSERT INTO "observation" VALUES(8,'400100','2026-03-02T09:01:22.000Z','record','["400100","2b",null,"r2b","call-log","Inbound",["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],"102",1772442070000,12000,"Missed",null,false,1772442082000,null,false,false,false,null,null,[]]');
INSERT INTO "observation" VALUES(9,'400100','2026-03-02T09:01:40.080Z','presence','["400100","103",1772442100000,1772442100080,10,"103/10/1772442100000/3301373b",[["3","s-3","leg-3-103","Inbound","Ringing","Ringing",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(10,'400100','2026-03-02T09:01:58.080Z','presence','["400100","103",1772442118000,1772442118080,11,"103/11/1772442118000/e52cf5a4",[["3","s-3","leg-3-103","Inbound","NoCall","NoCall",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(11,'400100','2026-03-02T09:00:50.080Z','presence','["400100","109",1772442050000,1772442050080,10,"109/10/1772442050000/630ee6a0",[["13","s-13","leg-13-109","Inbound","Ringing","Ringing",null,["+16505550177",null,"16505550177"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(12,'400100','2026-03-02T09:00:55.080Z','presence','["400100","109",1772442055000,1772442055080,11,"109/11/1772442055000/eb1823ce",[["13","s-13","leg-13-109","Inbound","CallConnected","CallConnected",null,["+16505550177",null,"16505550177"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(13,'400100','2026-03-02T09:01:05.080Z','presence','["400100","109",1772442065000,1772442065080,12,"109/12/1772442065000/5fe25847",[["13","s-13","leg-13-109","Inbound","NoCall","NoCall",null,["+16505550177",null,"16505550177"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(14,'400100','2026-03-02T09:02:10.080Z','presence','["400100","109",1772442130000,1772442130080,20,"109/20/1772442130000/3172ddca",[["13","s-13","leg-13-b","Inbound","CallConnected","CallConnected",null,["+16505550177",null,"16505550177"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(15,'400100','2026-03-02T09:02:00.080Z','presence','["400100","104",1772442120000,1772442120080,10,"104/10/1772442120000/6f14b1e8",[["9","s-9","leg-9-104","Inbound","Ringing","Ringing",null,["+16505550100",null,"16505550100"],["+16505550104",null,"16505550104"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(16,'400100','2026-03-02T09:02:04.080Z','presence','["400100","104",1772442124000,1772442124080,11,"104/11/1772442124000/ae9257b2",[["9","s-9","leg-9-104","Inbound","CallConnected","CallConnected",null,["+16505550100",null,"16505550100"],["+16505550104",null,"16505550104"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(17,'400100','2026-03-02T09:02:05.080Z','presence','["400100","104",1772442125000,1772442125080,12,"104/12/1772442125000/62075f5",[["10","s-10","leg-10-104","Outbound","Ringing","Ringing",null,["+16505550104",null,"16505550104"],["+16505550100",null,"16505550100"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(18,'400100','2026-03-02T09:03:20.080Z','presence','["400100","201",1772442200000,1772442200080,10,"201/10/1772442200000/5ce65178",[["4","s-4","leg-4-201","Inbound","Ringing","Ringing",null,["+16505550111","Zoë","16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(19,'400100','2026-03-02T09:03:20.080Z','presence','["400100","202",1772442200000,1772442200080,10,"202/10/1772442200000/904697db",[["4","s-4","leg-4-202","Inbound","Ringing","Ringing",null,["+16505550111","Zoë","16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(20,'400100','2026-03-02T09:03:20.080Z','presence','["400100","203",1772442200000,1772442200080,10,"203/10/1772442200000/75a082c3",[["4","s-4","leg-4-203","Inbound","Ringing","Ringing",null,["+16505550111","Zoë","16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(21,'400100','2026-03-02T09:03:26.080Z','presence','["400100","202",1772442206000,1772442206080,11,"202/11/1772442206000/25a18108",[["4","s-4","leg-4-202","Inbound","CallConnected","CallConnected",null,["+16505550111",null,"16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(22,'400100','2026-03-02T09:03:36.080Z','presence','["400100","202",1772442216000,1772442216080,12,"202/12/1772442216000/5e9fd63d",[["4","s-4","leg-4-202","Inbound","OnHold","OnHold",null,["+16505550111",null,"16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(23,'400100','2026-03-02T09:03:46.080Z','presence','["400100","202",1772442226000,1772442226080,13,"202/13/1772442226000/25a18108",[["4","s-4","leg-4-202","Inbound","CallConnected","CallConnected",null,["+16505550111",null,"16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(24,'400100','2026-03-02T09:03:56.080Z','presence','["400100","202",1772442236000,1772442236080,14,"202/14/1772442236000/5e9fd63d",[["4","s-4","leg-4-202","Inbound","OnHold","OnHold",null,["+16505550111",null,"16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(25,'400100','2026-03-02T09:03:26.580Z','presence','["400100","201",1772442206500,1772442206580,11,"201/11/1772442206500/e329cbfd",[["4","s-4","leg-4-201","Inbound","NoCall","NoCall",null,["+16505550111",null,"16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(26,'400100','2026-03-02T09:03:26.580Z','presence','["400100","203",1772442206500,1772442206580,11,"203/11/1772442206500/168ca429",[["4","s-4","leg-4-203","Inbound","NoCall","NoCall",null,["+16505550111",null,"16505550111"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(27,'400100','2026-03-02T09:04:00.080Z','presence','["400100","201",1772442240000,1772442240080,30,"201/30/1772442240000/e44348b9",[["5","s-5","leg-5-201","Inbound","Ringing","Ringing",null,["+16505550122",null,"16505550122"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(28,'400100','2026-03-02T09:04:00.080Z','presence','["400100","202",1772442240000,1772442240080,30,"202/30/1772442240000/f780a579",[["5","s-5","leg-5-202","Inbound","Ringing","Ringing",null,["+16505550122",null,"16505550122"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(29,'400100','2026-03-02T09:04:00.080Z','presence','["400100","203",1772442240000,1772442240080,30,"203/30/1772442240000/484486d3",[["5","s-5","leg-5-203","Inbound","Ringing","Ringing",null,["+16505550122",null,"16505550122"],["+18885434778",null,"18885434778"],null,true,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(30,'400100','2026-03-02T09:03:30.080Z','presence','["400100","105",1772442210000,1772442210080,10,"105/10/1772442210000/446105f6",[["7","s-7","leg-7-105","Inbound","Ringing","Ringing",null,["+16505550133",null,"16505550133"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(31,'400100','2026-03-02T09:03:34.080Z','presence','["400100","105",1772442214000,1772442214080,11,"105/11/1772442214000/c9290294",[["7","s-7","leg-7-105","Inbound","CallConnected","CallConnected",null,["+16505550133",null,"16505550133"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(32,'400100','2026-03-02T09:03:50.080Z','presence','["400100","105",1772442230000,1772442230080,12,"105/12/1772442230000/18c13a30",[["7","s-7","leg-7-105","Inbound","ParkedCall","ParkedCall",null,["+16505550133",null,"16505550133"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(33,'400100','2026-03-02T09:04:00.000Z','record','["400100","8",null,"r8","active-calls","Inbound",["+16505550144",null,"16505550144"],["+18885434778",null,"18885434778"],"106",1772442190000,50000,null,null,true,1772442240000,null,false,false,false,null,null,[]]');
INSERT INTO "observation" VALUES(34,'400100','2026-03-02T09:03:52.080Z','presence','["400100","107",1772442232000,1772442232080,null,null,[["12",null,"leg-12","Inbound","CallConnected","CallConnected",null,["+16505550155",null,"16505550155"],["+18885434778",null,"18885434778"],1772442205000,false,null,false]],false,"presence-read",null,null,null,null]');
INSERT INTO "observation" VALUES(35,'400100','2026-03-02T09:03:35.080Z','presence','["400100","108",1772442215000,1772442215080,10,"108/10/1772442215000/ec80278b",[["6","s-6","leg-6-108","Inbound","Ringing","Ringing",null,["+16505550166",null,"16505550166"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(36,'400100','2026-03-02T09:03:40.080Z','presence','["400100","108",1772442220000,1772442220080,11,"108/11/1772442220000/a7ff7b38",[["6","s-6","leg-6-108","Inbound","CallConnected","CallConnected",null,["+16505550166",null,"16505550166"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
INSERT INTO "observation" VALUES(37,'400100','2026-03-02T09:03:58.080Z','presence','["400100","108",1772442238000,1772442238080,12,"108/12/1772442238000/70239428",[["6","s-6","leg-6-108","Inbound","NoCall","NoCall",null,["+16505550166",null,"16505550166"],["+18885434778",null,"18885434778"],null,false,null,false]],false,"presence",null,null,null,null]');
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	receiver TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	event_id TEXT NOT NULL, 
	event TEXT NOT NULL, 
	body TEXT NOT NULL, 
	since TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	last_error TEXT, 
	gave_up_at TEXT, 
	CONSTRAINT pk_outbox PRIMARY KEY (id), 
	CONSTRAINT ck_outbox_attempts CHECK (attempts >= 0)
)
 STRICT

;
CREATE INDEX ix_call_disposition_started_at ON call (disposition, started_at);
CREATE INDEX ix_call_from_number ON call (from_number);
CREATE INDEX ix_call_started_at ON call (started_at);
CREATE INDEX ix_call_to_number ON call (to_number);
CREATE INDEX ix_call_unconfirmed ON call (started_at) WHERE confirmed_at IS NULL;
CREATE INDEX ix_call_event_account_id_session_id ON call_event (account_id, session_id);
CREATE INDEX ix_call_state_remembered_until ON call_state (remembered_until);
CREATE INDEX ix_call_transition_account_id_session_id ON call_transition (account_id, session_id);
CREATE INDEX ix_outbox_receiver_account_id_session_id_id ON outbox (receiver, account_id, session_id, id);
CREATE VIEW all_calls AS
SELECT 
    account_id, session_id, telephony_session_id, direction, internal, queue_call, extension_id,
    from_number, from_name, to_number, to_name, started_at, answered_at, ended_at, end_estimated,
    ring_ms / 1000.0 AS ring_seconds, talk_ms / 1000.0 AS talk_seconds, hold_ms / 1000.0 AS hold_seconds,
    duration_ms / 1000.0 AS duration_seconds, disposition, result, result_source, end_source, leg_count,
    events_accepted, events_ignored, part_of, confirmed_at, revision, updated_at
  FROM call;
CREATE VIEW calls AS
SELECT 
    account_id, session_id, telephony_session_id, direction, internal, queue_call, extension_id,
    from_number, from_name, to_number, to_name, started_at, answered_at, ended_at, end_estimated,
    ring_ms / 1000.0 AS ring_seconds, talk_ms / 1000.0 AS talk_seconds, hold_ms / 1000.0 AS hold_seconds,
    duration_ms / 1000.0 AS duration_seconds, disposition, result, result_source, end_source, leg_count,
    events_accepted, events_ignored, part_of, confirmed_at, revision, updated_at
  FROM call WHERE part_of IS NULL;
CREATE VIEW call_legs AS
SELECT
    account_id, session_id, leg_id, extension_id, direction, from_number, to_number, started_at, answered_at,
    ended_at, status, termination_type, source
  FROM call_leg;
CREATE VIEW active_calls AS
SELECT
    account_id, session_id, status, direction, extension_id, from_number, from_name, to_number, to_name,
    started_at, answered_at, suspect, last_seen_at
  FROM call_state WHERE remembered_until IS NULL AND phase = 'open';
CREATE VIEW call_transitions AS
SELECT
    account_id, session_id, at, from_status, to_status, sequence, source
  FROM call_transition;
CREATE VIEW call_events AS
SELECT
    account_id, session_id, at, received_at, extension_id, leg_id, status, sequence, source,
    CASE WHEN reason IS NULL THEN 'accepted' ELSE 'ignored' END AS outcome, reason
  FROM call_event;
CREATE VIEW call_sources AS
SELECT
    account_id, session_id, source, record_id, direction, started_at, ended_at,
    duration_ms / 1000.0 AS duration_seconds, result, seen_at
  FROM call_source;
CREATE VIEW coverage AS
SELECT
    account_id, from_at, until_at, state, cause, recovered_calls
  FROM coverage_span;
CREATE VIEW extension_presence AS
SELECT
    account_id, extension_id, extension_number, name, telephony_status, presence_status, user_status, dnd_status,
    NULLIF(since, '1970-01-01T00:00:00.000Z') AS since, NULLIF(updated_at, '1970-01-01T00:00:00.000Z') AS updated_at
  FROM extension;
CREATE VIEW daily_calls AS
SELECT
    account_id, substr(started_at, 1, 10) AS day, direction, count(*) AS calls,
    sum(CASE WHEN disposition = 'answered' THEN 1 ELSE 0 END) AS answered,
    sum(CASE WHEN disposition = 'missed' THEN 1 ELSE 0 END) AS missed,
    sum(CASE WHEN disposition = 'voicemail' THEN 1 ELSE 0 END) AS voicemail,
    sum(CASE WHEN confirmed_at IS NULL THEN 1 ELSE 0 END) AS unconfirmed,
    sum(ring_ms) / 1000.0 AS ring_seconds, sum(talk_ms) / 1000.0 AS talk_seconds,
    sum(hold_ms) / 1000.0 AS hold_seconds
  FROM call WHERE part_of IS NULL
  GROUP BY account_id, substr(started_at, 1, 10), direction;
CREATE VIEW missed_calls AS
SELECT 
    account_id, session_id, telephony_session_id, direction, internal, queue_call, extension_id,
    from_number, from_name, to_number, to_name, started_at, answered_at, ended_at, end_estimated,
    ring_ms / 1000.0 AS ring_seconds, talk_ms / 1000.0 AS talk_seconds, hold_ms / 1000.0 AS hold_seconds,
    duration_ms / 1000.0 AS duration_seconds, disposition, result, result_source, end_source, leg_count,
    events_accepted, events_ignored, part_of, confirmed_at, revision, updated_at
  FROM call WHERE part_of IS NULL AND disposition = 'missed';
CREATE VIEW unconfirmed_calls AS
SELECT 
    account_id, session_id, telephony_session_id, direction, internal, queue_call, extension_id,
    from_number, from_name, to_number, to_name, started_at, answered_at, ended_at, end_estimated,
    ring_ms / 1000.0 AS ring_seconds, talk_ms / 1000.0 AS talk_seconds, hold_ms / 1000.0 AS hold_seconds,
    duration_ms / 1000.0 AS duration_seconds, disposition, result, result_source, end_source, leg_count,
    events_accepted, events_ignored, part_of, confirmed_at, revision, updated_at
  FROM call WHERE part_of IS NULL AND confirmed_at IS NULL;
CREATE INDEX ix_call_daily ON call (
    substr(started_at, 1, 10), account_id, direction, started_at, disposition, confirmed_at, ring_ms, talk_ms, hold_ms,
    part_of);
COMMIT;

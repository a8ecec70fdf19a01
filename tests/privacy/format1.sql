BEGIN TRANSACTION;
CREATE TABLE contents (mac TEXT PRIMARY KEY, lineage INTEGER NOT NULL);
INSERT INTO "contents" VALUES('b5e25cec1dc375bb0a60b4e21d3e81b7487099bfc78a5cc34df5276daa28e4f9',1);
CREATE TABLE journal (
    entry INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL, hash TEXT NOT NULL);
INSERT INTO "journal" VALUES(0,'2026-11-22T08:04:06.256+00:00','create','{"format":1}','4e020dab574586cd565c0ef5e56b8672afbdb606438b5e71f00b3729f06b655b');
INSERT INTO "journal" VALUES(1,'2026-11-22T08:04:06.298+00:00','lineage','{"lineage":1,"unit":"{\"adjacency\":\"add-remove\",\"name\":\"person\",\"rows\":1}"}','74480f182e5f584e163658e424148faf4055c3de5e1e65721448abc9a5477d5e');
INSERT INTO "journal" VALUES(2,'2026-11-22T08:04:06.299+00:00','name','{"lineage":1,"name":"adult"}','e64692d0980c929b5392ba6fdbc37a7ee548161c7203faf3edb393364eb39b60');
INSERT INTO "journal" VALUES(3,'2026-11-22T08:04:06.299+00:00','cap','{"delta":1e-05,"epsilon":2.0,"lineage":1,"units":108256363823}','617611e4cf37389e2cee0cf081446b9a11444ba18ba2e52550455f3e74a6c654');
INSERT INTO "journal" VALUES(4,'2026-11-22T08:04:06.309+00:00','content','{"lineage":1,"mac":"b5e25cec1dc375bb0a60b4e21d3e81b7487099bfc78a5cc34df5276daa28e4f9"}','fbed5eba771b1e21686b3dabfa2ef06115adfa4f0fd3e89763e41d84a722ef00');
INSERT INTO "journal" VALUES(5,'2026-11-22T08:04:06.310+00:00','begin','{"content":"b5e25cec1dc375bb0a60b4e21d3e81b7487099bfc78a5cc34df5276daa28e4f9","dataset":"adult","delta":1e-05,"delta_units":100000000000,"epsilon":1.0,"lineage":1,"mechanism":"AIM","private":true,"request":"r","run":1,"units":30523055346}','93a0b656c48e536fa85fc0e38f0d76edd0a0c3a355766dbb275f008141e4ac13');
INSERT INTO "journal" VALUES(6,'2026-11-22T08:04:06.312+00:00','release','{"about":"age","delta_units":0,"kind":"gaussian","noise":"84e1e68bc7a2ee479509113e45d1588b74cc1b425e98969c635eb35e729010ce","parameters":{"l2_squared":1,"sigma":9.0},"run":1,"seq":0,"units":6172839507}','29482998754ecf7dea7f0f3042e51c0f0a499990674fe5d99bb351e2e64f26e8');
INSERT INTO "journal" VALUES(7,'2026-11-22T08:04:06.344+00:00','release','{"about":"jobs","delta_units":10000000001,"kind":"threshold","noise":"0b8f8930d1b38d871e9e612dbd19ef26b42c55c00d80a096febc5c4f717769f9","parameters":{"l2_squared":1,"sigma":50.0,"threshold":284},"run":1,"seq":1,"units":200000000}','c3c18e180e253589b1c6fafa2a4851adde013909a129fafc9014523e1de68223');
INSERT INTO "journal" VALUES(8,'2026-11-22T08:04:06.353+00:00','release','{"about":"pick","delta_units":0,"kind":"exponential","noise":"92b200de621277afd14b45de55967f1a4f1ea459d916b2d70558b21d14633340","parameters":{"epsilon":0.1,"scale":20.0,"sensitivity":1},"run":1,"seq":2,"units":1250000001}','e5a8bedffae968ed1e5c2eccb2558e6e3d69d24bd7ceaab34cb9f69d6dd072ca');
INSERT INTO "journal" VALUES(9,'2026-11-22T08:04:06.356+00:00','close','{"run":1,"spent":7622839508}','a486b319fc3724c91f9fc58a8b6af91c555a0778c43be284bc6cb19f367f4b24');
INSERT INTO "journal" VALUES(10,'2026-11-22T08:04:06.361+00:00','begin','{"content":null,"dataset":"adult","delta":1e-05,"delta_units":0,"epsilon":0.5,"lineage":1,"mechanism":"MST","private":true,"request":null,"run":2,"units":8505530591}','36507b0a9f9e0d4f44ce99a70a2feb178eae94241cd64c079bb49ab3472888e0');
INSERT INTO "journal" VALUES(11,'2026-11-22T08:04:06.368+00:00','release','{"about":"sex","delta_units":0,"kind":"gaussian","noise":null,"parameters":{"l2_squared":1,"sigma":100.0},"run":2,"seq":0,"units":50000000}','480655110ea2484fe2751746a76ab16f54223f21e626fe875d240f3d01d093d1');
CREATE TABLE lineages (
    id INTEGER PRIMARY KEY, unit TEXT NOT NULL,
    cap_epsilon REAL, cap_delta REAL, cap_units INTEGER);
INSERT INTO "lineages" VALUES(1,'{"adjacency":"add-remove","name":"person","rows":1}',2.0,1.0e-05,108256363823);
CREATE TABLE names (name TEXT PRIMARY KEY, lineage INTEGER NOT NULL);
INSERT INTO "names" VALUES('adult',1);
CREATE TABLE releases (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (run, seq)) WITHOUT ROWID;
INSERT INTO "releases" VALUES(1,0,6);
INSERT INTO "releases" VALUES(1,1,7);
INSERT INTO "releases" VALUES(1,2,8);
INSERT INTO "releases" VALUES(2,0,11);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, lineage INTEGER NOT NULL, dataset TEXT NOT NULL,
    mechanism TEXT NOT NULL, epsilon REAL NOT NULL, delta REAL NOT NULL, time TEXT NOT NULL,
    units INTEGER NOT NULL, spent INTEGER NOT NULL,
    delta_units INTEGER NOT NULL, delta_spent INTEGER NOT NULL, releases INTEGER NOT NULL,
    state TEXT NOT NULL, request TEXT UNIQUE, content TEXT, private INTEGER NOT NULL);
INSERT INTO "runs" VALUES(1,1,'adult','AIM',1.0,1.0e-05,'2026-11-22T08:04:06.310+00:00',30523055346,7622839508,100000000000,10000000001,3,'closed','r','b5e25cec1dc375bb0a60b4e21d3e81b7487099bfc78a5cc34df5276daa28e4f9',1);
INSERT INTO "runs" VALUES(2,1,'adult','MST',0.5,1.0e-05,'2026-11-22T08:04:06.361+00:00',8505530591,50000000,0,0,1,'open',NULL,NULL,1);
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
INSERT INTO "secrets" VALUES('contents',X'7EDE0CB25E89912D779107E412CC24DF4D4914760DD9A1F44BEAAFD8BB3BEBD0');
INSERT INTO "secrets" VALUES('noise 6',X'21822A37E676E32DA16329C878E75A54A98A57D8499B4C9B2A69F2025091886A');
INSERT INTO "secrets" VALUES('noise 7',X'C6CD4485D9A2FC5F9B881FF02AE3362C078AF9B5F6B8E9E5B572F87D2DDCFF0C');
INSERT INTO "secrets" VALUES('noise 8',X'0E5AD5806CFE7C0DC13D5E404E0443C977977E0556CAFD670E71C0DED224B111');
CREATE INDEX runs_of_lineage ON runs (lineage);
COMMIT;
-- dbtune: 1
-- route: PUT /respondents/id/{id}
-- calls: 1
-- source: sqlalchemy
-- types:
-- - text
-- - integer
-- sets:
--   frequent: [nobody@nowhere.example, '9276']
UPDATE partysvc.respondent SET pending_email_address=$1 WHERE partysvc.respondent.id = $2

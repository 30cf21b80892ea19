-- dbtune: 1
-- route: GET /respondents, GET /parties/type/{type}/id/{id}, PUT /respondents/id/{id} and 8 more
-- calls: 351
-- source: sqlalchemy
-- types:
-- - uuid
-- - integer
-- sets:
--   frequent: [c315e9dd-0001-4c3d-921b-2f76717c13ee, '1190']
--   rare: [005632a4-6404-4cc4-b408-173d9f1f39f6, '2426']
SELECT partysvc.enrolment.business_id, partysvc.enrolment.respondent_id, partysvc.enrolment.survey_id,
    partysvc.enrolment.status, partysvc.enrolment.created_on
FROM partysvc.enrolment
WHERE $1::UUID = partysvc.enrolment.business_id AND $2 = partysvc.enrolment.respondent_id

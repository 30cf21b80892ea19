-- dbtune: 1
-- route: PUT /respondents/edit-account-status/{id}
-- calls: 15
-- source: sqlalchemy
-- types:
-- - uuid
-- - integer
-- - text
-- sets:
--   absent: [47099fbf-215d-4a5f-b683-7608f18c21d5, '10564', f994f49d-43b4-41f1-931f-2589101bcb39]
SELECT partysvc.enrolment.business_id, partysvc.enrolment.respondent_id, partysvc.enrolment.survey_id,
    partysvc.enrolment.status, partysvc.enrolment.created_on
FROM partysvc.enrolment
WHERE partysvc.enrolment.business_id = $1::UUID AND partysvc.enrolment.respondent_id = $2
    AND partysvc.enrolment.survey_id = $3

-- dbtune: 1
-- route: PUT /respondents/change_enrolment_status
-- calls: 2
-- source: sqlalchemy
-- types:
-- - uuid
-- - text
-- - partysvc.enrolmentstatus
-- sets:
--   frequent: [aa200b55-db68-4613-973e-e427562f42bb, f994f49d-43b4-41f1-931f-2589101bcb39, ENABLED]
--   rare: [ffff3ece-da33-49ca-8181-dd4092f477a7, c6a7ec07-1bdf-4fd8-ae63-0d036f84ae50, ENABLED]
SELECT count(*) AS count_1
FROM (SELECT partysvc.enrolment.business_id AS partysvc_enrolment_business_id,
    partysvc.enrolment.respondent_id AS partysvc_enrolment_respondent_id,
    partysvc.enrolment.survey_id AS partysvc_enrolment_survey_id,
    partysvc.enrolment.status AS partysvc_enrolment_status,
    partysvc.enrolment.created_on AS partysvc_enrolment_created_on
FROM partysvc.enrolment
WHERE partysvc.enrolment.business_id = $1::UUID AND partysvc.enrolment.survey_id = $2
    AND partysvc.enrolment.status = $3) AS anon_1

-- dbtune: 1
-- route: PUT /respondents/change_enrolment_status
-- calls: 4
-- source: sqlalchemy
-- types:
-- - integer
-- - uuid
-- - text
-- - integer
-- sets:
--   frequent: ['1135', aa200b55-db68-4613-973e-e427562f42bb, f994f49d-43b4-41f1-931f-2589101bcb39, '1']
--   rare: ['9365', ffff3ece-da33-49ca-8181-dd4092f477a7, c6a7ec07-1bdf-4fd8-ae63-0d036f84ae50, '1']
--   absent: ['1135', aa200b55-db68-4613-973e-e427562f42bb, 00000000-0000-4000-8000-000000000000, '1']
SELECT partysvc.enrolment.business_id AS partysvc_enrolment_business_id,
    partysvc.enrolment.respondent_id AS partysvc_enrolment_respondent_id,
    partysvc.enrolment.survey_id AS partysvc_enrolment_survey_id,
    partysvc.enrolment.status AS partysvc_enrolment_status,
    partysvc.enrolment.created_on AS partysvc_enrolment_created_on
FROM partysvc.enrolment
WHERE partysvc.enrolment.respondent_id = $1 AND partysvc.enrolment.business_id = $2::UUID
    AND partysvc.enrolment.survey_id = $3
 LIMIT $4

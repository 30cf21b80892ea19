-- dbtune: 1
-- route: PUT /respondents/change_enrolment_status
-- calls: 2
-- source: sqlalchemy
-- types:
-- - partysvc.enrolmentstatus
-- - uuid
-- - integer
-- - text
-- sets:
--   frequent: [DISABLED, aa200b55-db68-4613-973e-e427562f42bb, '1135', f994f49d-43b4-41f1-931f-2589101bcb39]
--   rare: [DISABLED, ffff3ece-da33-49ca-8181-dd4092f477a7, '9365', c6a7ec07-1bdf-4fd8-ae63-0d036f84ae50]
UPDATE partysvc.enrolment SET status=$1 WHERE partysvc.enrolment.business_id = $2::UUID
    AND partysvc.enrolment.respondent_id = $3 AND partysvc.enrolment.survey_id = $4

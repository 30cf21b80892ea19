-- dbtune: 1
-- route: PUT /respondents/edit-account-status/{id}
-- calls: 3
-- source: sqlalchemy
-- types:
-- - integer
-- sets:
--   frequent: ['10564']
--   rare: ['12000']
--   absent: ['10595']
SELECT partysvc.pending_enrolment.id AS partysvc_pending_enrolment_id,
    partysvc.pending_enrolment.case_id AS partysvc_pending_enrolment_case_id,
    partysvc.pending_enrolment.respondent_id AS partysvc_pending_enrolment_respondent_id,
    partysvc.pending_enrolment.business_id AS partysvc_pending_enrolment_business_id,
    partysvc.pending_enrolment.survey_id AS partysvc_pending_enrolment_survey_id,
    partysvc.pending_enrolment.created_on AS partysvc_pending_enrolment_created_on
FROM partysvc.pending_enrolment
WHERE partysvc.pending_enrolment.respondent_id = $1 ORDER BY partysvc.pending_enrolment.id

-- dbtune: 1
-- route: GET /respondents
-- calls: 3
-- source: sqlalchemy
-- types:
-- - uuid
-- - uuid
-- - uuid
-- - uuid
-- - uuid
-- sets:
--   frequent: [c479da92-7edd-4a2b-9061-833f446dc276, 51790ab9-fc34-4b4c-8b03-b564ceb69c8e, 0836ee27-5fe0-4a55-80a6-7c78f74df73c, b614cb3c-77f6-43a0-9bbf-a2bc0847b57d, 8187abdc-72e8-47f0-a699-4125ed1362bf]
--   rare: [c479da92-7edd-4a2b-9061-833f446dc276, 43e49cfe-a7a7-5c47-b822-cfd040735416, b618e81f-8ac8-5afc-bf89-d447743ab385, 69692a7b-ec80-5ae5-b099-de8a6b342f9b, b8e75098-87c6-584a-a439-4875fde29d50]
--   absent: [43e49cfe-a7a7-5c47-b822-cfd040735416, b618e81f-8ac8-5afc-bf89-d447743ab385, 69692a7b-ec80-5ae5-b099-de8a6b342f9b, b8e75098-87c6-584a-a439-4875fde29d50, a1212ffb-5ae4-5d0d-8d00-3a6c1e7b2cbf]
SELECT partysvc.respondent.id AS partysvc_respondent_id,
    partysvc.respondent.party_uuid AS partysvc_respondent_party_uuid,
    partysvc.respondent.status AS partysvc_respondent_status,
    partysvc.respondent.email_address AS partysvc_respondent_email_address,
    partysvc.respondent.pending_email_address AS partysvc_respondent_pending_email_address,
    partysvc.respondent.first_name AS partysvc_respondent_first_name,
    partysvc.respondent.last_name AS partysvc_respondent_last_name,
    partysvc.respondent.telephone AS partysvc_respondent_telephone,
    partysvc.respondent.created_on AS partysvc_respondent_created_on
FROM partysvc.respondent
WHERE partysvc.respondent.party_uuid IN ($1::UUID, $2::UUID, $3::UUID, $4::UUID, $5::UUID)

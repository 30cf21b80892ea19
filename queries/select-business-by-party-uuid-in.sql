-- dbtune: 1
-- route: GET /businesses
-- calls: 3
-- source: sqlalchemy
-- types:
-- - uuid
-- - uuid
-- - uuid
-- - uuid
-- - uuid
-- sets:
--   frequent: [005632a4-6404-4cc4-b408-173d9f1f39f6, 0080b937-8a22-4f62-aec0-8856f2c8af76, 008d9141-9bf6-41e9-a6df-4217a7477565, 00aafcce-e000-42e6-bed0-1725a884cd0c, 00b2a342-0d63-4fad-8416-fad86c16ed90]
--   rare: [005632a4-6404-4cc4-b408-173d9f1f39f6, 43e49cfe-a7a7-5c47-b822-cfd040735416, b618e81f-8ac8-5afc-bf89-d447743ab385, 69692a7b-ec80-5ae5-b099-de8a6b342f9b, b8e75098-87c6-584a-a439-4875fde29d50]
--   absent: [43e49cfe-a7a7-5c47-b822-cfd040735416, b618e81f-8ac8-5afc-bf89-d447743ab385, 69692a7b-ec80-5ae5-b099-de8a6b342f9b, b8e75098-87c6-584a-a439-4875fde29d50, a1212ffb-5ae4-5d0d-8d00-3a6c1e7b2cbf]
SELECT partysvc.business.party_uuid AS partysvc_business_party_uuid,
    partysvc.business.business_ref AS partysvc_business_business_ref,
    partysvc.business.created_on AS partysvc_business_created_on,
    business_attributes_1.id AS business_attributes_1_id,
    business_attributes_1.business_id AS business_attributes_1_business_id,
    business_attributes_1.sample_summary_id AS business_attributes_1_sample_summary_id,
    business_attributes_1.collection_exercise AS business_attributes_1_collection_exercise,
    business_attributes_1.attributes AS business_attributes_1_attributes,
    business_attributes_1.created_on AS business_attributes_1_created_on
FROM partysvc.business
    LEFT OUTER JOIN partysvc.business_attributes AS business_attributes_1 ON partysvc.business.party_uuid = business_attributes_1.business_id
WHERE partysvc.business.party_uuid IN ($1::UUID, $2::UUID, $3::UUID, $4::UUID,
    $5::UUID) ORDER BY business_attributes_1.created_on DESC

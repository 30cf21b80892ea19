-- dbtune: 1
-- route: GET /businesses/id/{id}, GET /parties/type/{type}/id/{id}
-- calls: 8
-- source: sqlalchemy
-- types:
-- - uuid
-- - integer
-- sets:
--   frequent: [005632a4-6404-4cc4-b408-173d9f1f39f6, '1']
--   rare: [ffff3ece-da33-49ca-8181-dd4092f477a7, '1']
--   absent: [00000000-0000-4000-8000-000000000000, '1']
SELECT anon_1.partysvc_business_party_uuid AS anon_1_partysvc_business_party_uuid,
    anon_1.partysvc_business_business_ref AS anon_1_partysvc_business_business_ref,
    anon_1.partysvc_business_created_on AS anon_1_partysvc_business_created_on,
    business_attributes_1.id AS business_attributes_1_id,
    business_attributes_1.business_id AS business_attributes_1_business_id,
    business_attributes_1.sample_summary_id AS business_attributes_1_sample_summary_id,
    business_attributes_1.collection_exercise AS business_attributes_1_collection_exercise,
    business_attributes_1.attributes AS business_attributes_1_attributes,
    business_attributes_1.created_on AS business_attributes_1_created_on
FROM (SELECT partysvc.business.party_uuid AS partysvc_business_party_uuid,
    partysvc.business.business_ref AS partysvc_business_business_ref,
    partysvc.business.created_on AS partysvc_business_created_on
FROM partysvc.business
WHERE partysvc.business.party_uuid = $1::UUID
 LIMIT $2) AS anon_1
    LEFT OUTER JOIN partysvc.business_attributes AS business_attributes_1 ON anon_1.partysvc_business_party_uuid = business_attributes_1.business_id ORDER BY business_attributes_1.created_on DESC

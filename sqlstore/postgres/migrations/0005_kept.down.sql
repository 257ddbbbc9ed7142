DROP TABLE ota_released;
DROP TABLE ota_kept;

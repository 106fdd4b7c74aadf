# A SIEM alert to the LEEF line that dsmith writes for it. $qids: {"ID|CATEGORY": [qid, name, severity]}.
def millis: (.[0:19] + "Z" | fromdateiso8601) * 1000 + (.[20:23] | tonumber) | tostring;
. as $a
| ($qids[0][.Category + "|" + .Severity]) as $q
| (.InternalIPv4List | split(";")[0]) as $own
| [
    ["devTime", (.AlertTime | millis)], ["cat", .Severity], ["sev", ($q[2] | tostring)], ["src", $own],
    ["dst", .IpAddress], ["usrName", .UserName], ["identSrc", $own], ["identHostName", .ComputerDnsName],
    ["identNetBios", .MachineName], ["identGrpName", .UserDomain], ["qid", ($q[0] | tostring)], ["qidName", $q[1]],
    ["alertId", .AlertId], ["alertTitle", .AlertTitle], ["alertSeverity", .Severity], ["alertCategory", .Category],
    ["detectionSource", .Source], ["detectorId", .IoaDefinitionId], ["deviceId", .DeviceID],
    ["deviceName", .ComputerDnsName], ["machineGroup", .MachineGroup], ["userDomain", .UserDomain],
    ["loggedOnUsers", .LogOnUsers], ["fileName", .FileName], ["filePath", .FilePath], ["sha1", .Sha1],
    ["sha256", .Sha256], ["md5", .Md5], ["processCommandLine", .CommandLine], ["remoteIp", .IpAddress],
    ["webUrl", .Url], ["allIpAddresses", .InternalIPv4List], ["alertLink", .LinkToWDATP],
    ["incidentLink", .IncidentLinkToWDATP], ["fullId", .FullId], ["alertCreated", (.LastProcessedTimeUtc | millis)],
    ["alertDescription", .Description]
  ]
| "LEEF:1.0|Microsoft|365 Defender|1.0|" + $a.Category + "|"
  + (map(select(.[1] != null and .[1] != "") | .[0] + "=" + (.[1] | gsub("\t"; " "))) | join("\t"))

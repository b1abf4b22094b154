// SPDX-License-Identifier: Apache-2.0
import Quern
import Testing

@testable import DirScanKit

@Suite struct ScanReportTests {
    @Test func reportIsOneLineOfJSON() {
        var report = ScanReport()
        report.directories = 237_997
        report.files = .max
        report.failed = 3
        report.failures = [
            .init(reason: "permission denied", count: 2, samples: ["/a", #"/b\xFF"#]),
            .init(reason: "not found", count: 1, samples: []),
        ]
        report.resumed = true
        report.duration = .milliseconds(61_007)
        report.finalizeNanoseconds = 900_000
        #expect(
            report.json == #"{"directories":237997,"files":18446744073709551615,"bytes":0,"discovered":0,"skipped":0,"#
                + #""deleted":0,"failed":3,"failures":[{"reason":"permission denied","count":2,"#
                + #""samples":["/a","/b\\xFF"]},{"reason":"not found","count":1,"samples":[]}],"resumed":true,"#
                + #""seconds":61.007,"finalizeSeconds":0.000,"peakResidentBytes":0}"#)
    }

    @Test(arguments: [
        ("plain", #""plain""#), ("a\"b\\c", #""a\"b\\c""#), ("\n\r\t", #""\n\r\t""#),
        ("\u{1}\u{1F}", #""\u0001\u001F""#),
        ("ä😀/", #""ä😀/""#), ("e\u{301}", "\"e\u{301}\""), ("\r\n", #""\r\n""#),
    ])
    func stringsAreEscaped(text: String, json: String) {
        var line = JSONLine()
        line.string(text)
        #expect(line.text.unicodeScalars.elementsEqual(json.unicodeScalars))
    }

    @Test func emptyReportHasNoFailures() {
        #expect(ScanReport().json.contains(#""failures":[],"resumed":false,"seconds":0.000"#))
    }
}

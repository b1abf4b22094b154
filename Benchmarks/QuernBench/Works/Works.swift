// SPDX-License-Identifier: Apache-2.0

/// All that is measured, in the order in which it is. Names are stable: reports of other days are compared by them.
enum Works {
    static func all(isQuick: Bool) -> [any Work] {
        let always = [FanOutWork(suffix: "238k", children: 238_000, parts: FanOutWork.Part.allCases)]
        let commits: [FanOutWork.Part] = [.insert, .complete]
        let whole: [FanOutWork.Part] = [.insert, .complete, .scan, .bytes]
        // Fewer children where each has a sync of its own: rates do not depend on how many there are.
        let more = [
            FanOutWork(suffix: "238k-buffered", children: 238_000, synced: false, parts: commits),
            FanOutWork(suffix: "batch-1", children: 2000, batch: 1, parts: commits),
            FanOutWork(suffix: "batch-100", children: 50_000, batch: 100, parts: commits),
            FanOutWork(suffix: "batch-10000", children: 238_000, batch: 10_000, parts: commits),
            FanOutWork(suffix: "100k-parents", children: 1_000_000, perParent: 10, parts: whole),
            FanOutWork(suffix: "json-238k", memo: .json, children: 238_000, parts: whole),
            FanOutWork(suffix: "page-60k", memo: .page, children: 60_000, parts: whole),
        ]
        return isQuick ? always : always + more
    }
}

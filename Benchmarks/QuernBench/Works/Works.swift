// SPDX-License-Identifier: Apache-2.0

/// All that is measured, in the order in which it is. Names are stable: reports of other days are compared by them.
enum Works {
    static func all(isQuick: Bool) -> [any Work] {
        let always: [any Work] =
            [FanOutWork(suffix: "238k", children: 238_000, parts: FanOutWork.Part.allCases)]
            + [1, 256].map(CallersWork.init) + [
                ScanWhileWritingWork(suffix: "238k", children: 238_000),
                EndToEndWork(suffix: "238k", children: 238_000, hasFinalize: false, hasPeer: true),
            ] + SubmitWork.allCases + LimitWork.allCases
        let commits: [FanOutWork.Part] = [.insert, .complete]
        let whole: [FanOutWork.Part] = [.insert, .complete, .scan, .bytes]
        // Fewer children where each has a sync of its own: rates do not depend on how many there are.
        let more: [any Work] = [
            CallersWork(callers: 16), CallersWork(callers: 4096),
            FanOutWork(suffix: "238k-buffered", children: 238_000, synced: false, parts: commits),
            FanOutWork(suffix: "batch-1", children: 2000, batch: 1, parts: commits),
            FanOutWork(suffix: "batch-100", children: 50_000, batch: 100, parts: commits),
            FanOutWork(suffix: "batch-10000", children: 238_000, batch: 10_000, parts: commits),
            FanOutWork(suffix: "100k-parents", children: 1_000_000, perParent: 10, parts: whole),
            FanOutWork(suffix: "json-238k", memo: .json, children: 238_000, parts: whole),
            FanOutWork(suffix: "page-60k", memo: .page, children: 60_000, parts: whole),
            EndToEndWork(suffix: "1k", children: 1000, hasFinalize: false, hasPeer: true),
            EndToEndWork(suffix: "10k", children: 10_000, hasFinalize: true, hasPeer: true),
            EndToEndWork(suffix: "100k", children: 100_000, hasFinalize: true, hasPeer: true),
            EndToEndWork(suffix: "1m", children: 1_000_000, hasFinalize: true, hasPeer: true),
            EndToEndWork(suffix: "10m", children: 10_000_000, hasFinalize: true, hasPeer: false),
            RestartWork(suffix: "10k", children: 10_000),
            RestartWork(suffix: "1m", children: 1_000_000),
            RestartWork(suffix: "10m", children: 10_000_000),
            LargeStoreWork(suffix: "10m", children: 10_000_000),
        ]
        return isQuick ? always : always + more
    }

    /// The names that somebody means: a work, or else all that begin with the word.
    ///
    /// - Returns: none when there is no such work.
    static func names(meantBy word: String) -> [String] {
        let names = all(isQuick: false).flatMap(\.names)
        return names.contains(word) ? [word] : names.filter { $0.hasPrefix(word + "-") }
    }
}

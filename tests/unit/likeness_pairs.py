"""Pairs of (title, lead) as two sites would print them: the same story, and stories that only look alike."""

from __future__ import annotations

Story = tuple[str, str]

SAME: list[tuple[Story, Story]] = [
    (
        ("Kabinet trekt 80 miljoen euro uit voor begeleiding startende leraren", "Het kabinet trekt de komende vier jaar 80 miljoen euro uit voor de begeleiding van startende leraren. Dat heeft minister Bruins woensdag aan de Tweede Kamer geschreven. Met het geld kunnen scholen uren vrijmaken voor coaches."),
        ("80 miljoen voor begeleiding van startende leraren", "Het kabinet trekt de komende vier jaar 80 miljoen euro uit voor de begeleiding van startende leraren. Dat heeft minister Bruins aan de Tweede Kamer geschreven. Met het geld kunnen scholen uren vrijmaken."),
    ),
    (
        ("Beroepsbeeld leraar nu ook voor het mbo", "Na het primair en voortgezet onderwijs krijgt ook het mbo een beroepsbeeld voor de leraar. Het beschrijft hoe docenten zich kunnen ontwikkelen, van starter tot expert, en helpt scholen bij het gesprek daarover."),
        ("Ook mbo krijgt beroepsbeeld voor de leraar", "Na het primair en voortgezet onderwijs krijgt nu ook het mbo een beroepsbeeld voor de leraar. Het beschrijft hoe docenten zich kunnen ontwikkelen, van starter tot expert, en helpt scholen bij het gesprek daarover. Lees meer"),
    ),
    (
        ("Samen opleiden op weg naar 2030", "De partners in het samen opleiden hebben hun ambities voor de komende jaren vastgelegd. In 2030 wordt elke leraar opgeleid in een partnerschap van scholen en opleidingen, zo staat in het akkoord dat vandaag is getekend."),
        ("Samen opleiden op weg naar 2030", "De partners in het samen opleiden hebben hun ambities voor de komende jaren vastgelegd. In 2030 wordt elke leraar opgeleid in een partnerschap van scholen en opleidingen, zo staat in het akkoord dat vandaag is getekend."),
    ),
    (
        ("Minder aanmeldingen voor de pabo", "Het aantal aanmeldingen voor de pabo is dit jaar met acht procent gedaald, blijkt uit voorlopige cijfers van de Vereniging Hogescholen. Vooral in de grote steden kiezen minder jongeren voor de opleiding tot leraar basisonderwijs."),
        ("Pabo trekt minder studenten", "Het aantal aanmeldingen voor de pabo is dit jaar met acht procent gedaald. Dat blijkt uit voorlopige cijfers van de Vereniging Hogescholen. Vooral in de grote steden kiezen minder jongeren voor de opleiding tot leraar basisonderwijs."),
    ),
    (
        ("Inspectie: schoolleiders hebben te weinig tijd voor onderwijs", "Schoolleiders in het basisonderwijs besteden gemiddeld de helft van hun tijd aan personeelszaken en huisvesting. Voor onderwijskundig leiderschap blijft te weinig over, concludeert de Inspectie van het Onderwijs in een rapport."),
        ("Schoolleiders hebben te weinig tijd voor onderwijs", "UTRECHT – Schoolleiders in het basisonderwijs besteden gemiddeld de helft van hun tijd aan personeelszaken en huisvesting. Voor onderwijskundig leiderschap blijft te weinig over, concludeert de Inspectie van het Onderwijs."),
    ),
    (
        ("Nieuwe leergang voor schoolopleiders van start", "In januari start een nieuwe leergang voor schoolopleiders die hun rol willen verdiepen. De leergang bestaat uit zes dagen en wordt gegeven door ervaren opleiders uit de regio. Aanmelden kan tot half december."),
        ("Leergang voor schoolopleiders start in januari", "In januari start een nieuwe leergang voor schoolopleiders die hun rol willen verdiepen. De leergang bestaat uit zes dagen en wordt gegeven door ervaren opleiders uit de regio."),
    ),
    (
        ("Onderzoek: zij-instromers blijven vaker dan gedacht", "Zij-instromers in het onderwijs blijven vaker voor de klas staan dan lang werd gedacht. Na vijf jaar werkt nog driekwart van hen op een school, zo blijkt uit onderzoek dat vandaag is verschenen. Goede begeleiding maakt het verschil."),
        ("Driekwart van de zij-instromers blijft voor de klas", "Zij-instromers in het onderwijs blijven vaker voor de klas staan dan lang werd gedacht. Na vijf jaar werkt nog driekwart van hen op een school, blijkt uit onderzoek dat vandaag is verschenen. Goede begeleiding maakt het verschil."),
    ),
    (
        ("Gemeente opent loket voor leraren die een woning zoeken", "Leraren die in de stad willen werken kunnen vanaf maandag terecht bij een speciaal loket voor een betaalbare woning. De gemeente heeft met corporaties afgesproken dat jaarlijks honderd woningen naar het onderwijs gaan."),
        ("Loket voor leraren die een woning zoeken", "Leraren die in de stad willen werken kunnen vanaf maandag terecht bij een speciaal loket voor een betaalbare woning. De gemeente heeft met corporaties afgesproken dat er jaarlijks honderd woningen naar het onderwijs gaan."),
    ),
    (
        ("Teachers to get two extra days for training", "Teachers in primary schools will get two extra days a year for training, the ministry announced on Tuesday. Schools can decide together with their staff how the days are used, and the costs will be covered by the government."),
        ("Two extra training days for teachers", "Teachers in primary schools will get two extra days a year for training, the ministry announced. Schools can decide together with their staff how the days are used, and the costs will be covered by the government."),
    ),
    (
        ("Mehr Geld für die Ausbildung von Lehrkräften", "Die Landesregierung stellt im kommenden Jahr deutlich mehr Geld für die Ausbildung von Lehrkräften bereit. Damit sollen vor allem Schulen unterstützt werden, die gemeinsam mit Hochschulen ausbilden."),
        ("Land gibt mehr Geld für die Ausbildung von Lehrkräften", "Die Landesregierung stellt im kommenden Jahr deutlich mehr Geld für die Ausbildung von Lehrkräften bereit. Damit sollen vor allem Schulen unterstützt werden, die gemeinsam mit Hochschulen ausbilden, teilte sie mit."),
    ),
    (
        ("Une formation commune pour les enseignants débutants", "À partir de la rentrée prochaine, les enseignants débutants suivront une formation commune dans leur académie. Elle comprend dix journées réparties sur deux ans et un accompagnement par un collègue expérimenté."),
        ("Formation commune pour tous les enseignants débutants", "À partir de la rentrée prochaine, les enseignants débutants suivront une formation commune dans leur académie. Elle comprend dix journées réparties sur deux ans ainsi qu'un accompagnement par un collègue expérimenté."),
    ),
    (
        ("Leraren kunnen weer een beurs aanvragen", "Leraren die een bachelor of master willen volgen kunnen vanaf 1 april weer een beurs aanvragen. Met de lerarenbeurs betalen zij collegegeld en studiemiddelen, en hun school krijgt subsidie voor vervanging."),
        ("Lerarenbeurs: aanvragen kan vanaf 1 april", "Leraren die een bachelor of master willen volgen kunnen vanaf 1 april weer een beurs aanvragen. Met de lerarenbeurs betalen zij collegegeld en studiemiddelen; hun school krijgt subsidie voor vervanging."),
    ),
    (
        ("Hogeschool en schoolbesturen tekenen convenant", "De hogeschool en elf schoolbesturen uit de regio hebben een convenant getekend over het opleiden van leraren. Zij spreken af dat studenten vanaf het eerste jaar op een opleidingsschool leren en dat begeleiders worden geschoold."),
        ("Elf schoolbesturen en hogeschool tekenen convenant", "De hogeschool en elf schoolbesturen uit de regio tekenden een convenant over het opleiden van leraren. Zij spreken af dat studenten vanaf het eerste jaar op een opleidingsschool leren en dat begeleiders worden geschoold."),
    ),
    (
        ("Werkdruk in het onderwijs daalt licht", "De werkdruk in het onderwijs is het afgelopen jaar licht gedaald, maar blijft hoger dan in andere sectoren. Dat meldt het Centraal Bureau voor de Statistiek op basis van een enquête onder werknemers."),
        ("CBS: werkdruk in het onderwijs daalt licht", "De werkdruk in het onderwijs is het afgelopen jaar licht gedaald, maar blijft hoger dan in andere sectoren. Dat meldt het Centraal Bureau voor de Statistiek op basis van een enquête onder werknemers. Vooral leraren in het vo merken verschil."),
    ),
    (
        ("Handreiking inductie verschenen", "Voor scholen die hun begeleiding van nieuwe collega’s willen verbeteren is een handreiking verschenen. Daarin staan voorbeelden uit de praktijk, een stappenplan en een lijst met vragen voor het team."),
        ("Nieuwe handreiking over inductie", "Voor scholen die hun begeleiding van nieuwe collega's willen verbeteren is een handreiking verschenen. Daarin staan voorbeelden uit de praktijk, een stappenplan en een lijst met vragen voor het team. Download de handreiking."),
    ),
    (
        ("Kamer wil af van losse contracten voor invallers", "Een meerderheid van de Tweede Kamer wil dat scholen invallers vaker een vast contract geven. Nu werken zij vaak jarenlang op tijdelijke basis, waardoor ze naar een andere sector vertrekken. De minister zegt toe de wet te bekijken."),
        ("Meerderheid Kamer: geef invallers een vast contract", "Een meerderheid van de Tweede Kamer wil dat scholen invallers vaker een vast contract geven. Nu werken zij vaak jarenlang op tijdelijke basis, waardoor ze naar een andere sector vertrekken."),
    ),
    (
        ("Prijs voor opleidingsschool van het jaar uitgereikt", "De prijs voor de beste opleidingsschool is vanmiddag uitgereikt aan een partnerschap dat studenten laat meedraaien in onderzoek op school. De jury prijst de manier waarop leraren, studenten en lectoren van elkaar leren."),
        ("Opleidingsschool van het jaar bekend", "De prijs voor de beste opleidingsschool is uitgereikt aan een partnerschap dat studenten laat meedraaien in onderzoek op school. De jury prijst de manier waarop leraren, studenten en lectoren van elkaar leren."),
    ),
    (
        ("Digitale geletterdheid vast onderdeel van de lerarenopleiding", "Digitale geletterdheid wordt een vast onderdeel van alle lerarenopleidingen. De opleidingen hebben daarvoor een gezamenlijk programma gemaakt, dat volgend studiejaar wordt ingevoerd en met scholen wordt geëvalueerd."),
        ("Lerarenopleidingen: digitale geletterdheid wordt vast onderdeel", "Digitale geletterdheid wordt een vast onderdeel van alle lerarenopleidingen. De opleidingen maakten daarvoor een gezamenlijk programma, dat volgend studiejaar wordt ingevoerd en met scholen wordt geëvalueerd."),
    ),
    (
        ("School sluit na lekkage", "Een basisschool in het centrum blijft deze week dicht omdat een gesprongen leiding drie lokalen blank heeft gezet. Leerlingen krijgen les in een buurthuis en thuis, de schade wordt vandaag opgenomen."),
        ("Basisschool week dicht door gesprongen leiding", "Een basisschool in het centrum blijft deze week dicht omdat een gesprongen leiding drie lokalen blank heeft gezet. Leerlingen krijgen les in een buurthuis en thuis; de schade wordt vandaag opgenomen."),
    ),
    (
        ("Proef met vierdaagse schoolweek krijgt vervolg", "De proef met een vierdaagse schoolweek krijgt een vervolg op twaalf scholen. Volgens de onderzoekers gingen de leerprestaties niet achteruit en daalde het ziekteverzuim onder leraren. Ouders zijn verdeeld."),
        ("Vierdaagse schoolweek: proef krijgt vervolg", "De proef met een vierdaagse schoolweek krijgt een vervolg op twaalf scholen. Volgens de onderzoekers gingen de leerprestaties niet achteruit en daalde het ziekteverzuim onder leraren."),
    ),
    (
        ("Taalonderwijs: opleidingen en scholen maken afspraken", "Opleidingen en scholen hebben afspraken gemaakt over beter taalonderwijs. Studenten krijgen meer oefening in het geven van leeslessen, en op elke opleidingsschool komt een taalcoördinator die hen begeleidt."),
        ("Afspraken over beter taalonderwijs", "Opleidingen en scholen hebben afspraken gemaakt over beter taalonderwijs. Studenten krijgen meer oefening in het geven van leeslessen en op elke opleidingsschool komt een taalcoördinator die hen begeleidt."),
    ),
    (
        ("Meer mannen naar de pabo, maar zij haken sneller af", "Voor het derde jaar op rij beginnen meer mannen aan de pabo. Zij stoppen wel vaker in het eerste jaar dan vrouwen, blijkt uit cijfers van de opleidingen, die extra begeleiding en rolmodellen beloven."),
        ("Meer mannen beginnen aan de pabo", "Voor het derde jaar op rij beginnen meer mannen aan de pabo. Zij stoppen wel vaker in het eerste jaar dan vrouwen, blijkt uit cijfers van de opleidingen."),
    ),
    (
        ("Subsidie voor opleidingsscholen wordt eenvoudiger", "De subsidie voor opleidingsscholen wordt vanaf volgend jaar eenvoudiger. Partnerschappen hoeven nog maar één keer per vier jaar verantwoording af te leggen en krijgen het bedrag per student automatisch uitbetaald."),
        ("Eenvoudiger subsidie voor opleidingsscholen", "De subsidie voor opleidingsscholen wordt vanaf volgend jaar eenvoudiger. Partnerschappen hoeven nog maar één keer per vier jaar verantwoording af te leggen en krijgen het bedrag per student automatisch uitbetaald."),
    ),
    (
        ("Vakbond: cao-voorstel is onvoldoende", "De vakbond noemt het voorstel van de werkgevers voor een nieuwe cao onvoldoende. Leden willen een loonsverhoging die de inflatie bijhoudt en afspraken over werkdruk. Zij beslissen volgende week over acties."),
        ("Bond wijst cao-voorstel van werkgevers af", "De vakbond noemt het voorstel van de werkgevers voor een nieuwe cao onvoldoende. Leden willen een loonsverhoging die de inflatie bijhoudt en afspraken over de werkdruk. Zij beslissen volgende week over acties."),
    ),
    (
        ("Podcast over de eerste honderd dagen voor de klas", "In een nieuwe podcast vertellen beginnende leraren over hun eerste honderd dagen voor de klas. Ze praten over volle agenda’s, lastige ouders en de collega die alles draaglijk maakte. Elke week verschijnt een aflevering."),
        ("Nieuwe podcast: de eerste honderd dagen voor de klas", "In een nieuwe podcast vertellen beginnende leraren over hun eerste honderd dagen voor de klas. Ze praten over volle agenda’s, lastige ouders en de collega die alles draaglijk maakte."),
    ),
    (
        ("School wil van de mobiele telefoon af, leerlingen ook", "Een jaar na het verbod op telefoons in de les zijn scholen tevreden: leerlingen letten beter op en praten meer met elkaar. Ook de leerlingen zelf willen niet terug, blijkt uit een peiling onder drieduizend scholieren."),
        ("Scholieren willen telefoonverbod houden", "Een jaar na het verbod op telefoons in de les zijn scholen tevreden: leerlingen letten beter op en praten meer met elkaar. Ook leerlingen zelf willen niet terug, blijkt uit een peiling onder drieduizend scholieren."),
    ),
    (
        ("Tekort aan leraren loopt op in het speciaal onderwijs", "Het tekort aan leraren in het speciaal onderwijs is opgelopen tot vijftienhonderd voltijdbanen. Besturen vangen dat op met onderwijsassistenten en grotere groepen, maar waarschuwen dat de grens is bereikt."),
        ("Lerarentekort speciaal onderwijs loopt verder op", "Het tekort aan leraren in het speciaal onderwijs is opgelopen tot vijftienhonderd voltijdbanen. Besturen vangen dat op met onderwijsassistenten en met grotere groepen, maar waarschuwen dat de grens is bereikt."),
    ),
    (
        ("Lector: laat studenten eerder lesgeven", "Studenten aan de lerarenopleiding moeten al in hun eerste maand voor de klas staan, vindt de nieuwe lector. Wie vroeg oefent met echte leerlingen leert meer van de theorie, zegt zij in haar intreerede."),
        ("‘Laat studenten eerder lesgeven’", "Studenten aan de lerarenopleiding moeten al in hun eerste maand voor de klas staan, vindt de nieuwe lector. Wie vroeg oefent met echte leerlingen, leert meer van de theorie, zei zij in haar intreerede."),
    ),
    (
        ("Regio’s krijgen één loket voor onderwijspersoneel", "Iedereen die in het onderwijs wil werken kan straks terecht bij één loket in de regio. Daar krijgen belangstellenden advies over opleidingen, proeflessen en banen. De eerste loketten gaan in februari open."),
        ("Eén loket per regio voor wie in het onderwijs wil werken", "Iedereen die in het onderwijs wil werken kan straks terecht bij één loket in de regio. Daar krijgen belangstellenden advies over opleidingen, proeflessen en banen."),
    ),
    (
        ("Evaluatie: opleiden in de school werkt", "Leraren die op een opleidingsschool zijn opgeleid voelen zich beter voorbereid op hun werk dan andere starters. Dat blijkt uit een evaluatie onder tweeduizend beginnende leraren in het basis- en voortgezet onderwijs."),
        ("Starters uit opleidingsschool beter voorbereid", "Leraren die op een opleidingsschool zijn opgeleid, voelen zich beter voorbereid op hun werk dan andere starters. Dat blijkt uit een evaluatie onder tweeduizend beginnende leraren in basis- en voortgezet onderwijs."),
    ),
]  # fmt: skip

OTHER: list[tuple[Story, Story]] = [
    (
        ("Column: de week van de directeur", "Maandag begon met een lekkende kraan en eindigde met een gesprek over het schoolplan. Tussendoor viel er een leraar uit en kwam er een nieuwe stagiair, die meteen voor groep zeven stond."),
        ("Column: de week van de directeur", "Deze week stond in het teken van de studiedag. Met het hele team hebben we nagedacht over leesonderwijs, en vrijdag vierden we dat onze conciërge veertig jaar in dienst is."),
    ),
    (
        ("Vacature: leerkracht groep 3 in Utrecht", "Wij zoeken een enthousiaste leerkracht voor groep 3 van onze school in Utrecht. Je werkt vier dagen per week in een hecht team, krijgt begeleiding van een coach en ruimte om je te ontwikkelen."),
        ("Vacature: leerkracht groep 3 in Amersfoort", "Wij zoeken een enthousiaste leerkracht voor groep 3 van onze school in Amersfoort. Je werkt vier dagen per week in een hecht team, krijgt begeleiding van een coach en ruimte om je te ontwikkelen."),
    ),
    (
        ("Vacature: leerkracht groep 3", "Wij zoeken een enthousiaste leerkracht voor groep 3 van onze school. Je werkt vier dagen per week in een hecht team, krijgt begeleiding van een coach en ruimte om je te ontwikkelen."),
        ("Vacature: leerkracht groep 7", "Wij zoeken een enthousiaste leerkracht voor groep 7 van onze school. Je werkt vier dagen per week in een hecht team, krijgt begeleiding van een coach en ruimte om je te ontwikkelen."),
    ),
    (
        ("Vacature: schoolopleider (0,4 fte)", "Voor ons partnerschap zoeken wij een schoolopleider die studenten en hun begeleiders ondersteunt. Je organiseert intervisie, bezoekt lessen en onderhoudt het contact met de opleiding."),
        ("Vacature: docent Engels (0,8 fte)", "Voor onze bovenbouw zoeken wij een docent Engels die leerlingen weet te boeien. Je geeft les aan havo en vwo, bent mentor van een klas en denkt mee over het vakwerkplan."),
    ),
    (
        ("Lerarentekort in de regio, deel 1", "In een serie van drie artikelen bekijken wij hoe scholen in de regio omgaan met het tekort aan leraren. In dit deel praten bestuurders over wat zij al doen en wat zij missen."),
        ("Lerarentekort in de regio, deel 2", "In een serie van drie artikelen bekijken wij hoe scholen in de regio omgaan met het tekort aan leraren. In dit deel praten leraren over wat zij al doen en wat zij missen."),
    ),
    (
        ("Opleiden in de praktijk (deel II)", "Wat leren studenten op de werkvloer dat zij op de opleiding niet leren? In deze reeks volgen we vier studenten een jaar lang op hun opleidingsschool en praten we met hun begeleiders."),
        ("Opleiden in de praktijk (deel III)", "Wat leren studenten op de werkvloer dat zij op de opleiding niet leren? In deze reeks volgen we vier studenten een jaar lang op hun opleidingsschool en praten we met hun begeleiders."),
    ),
    (
        ("Jaarverslag 2024 verschenen", "Het jaarverslag van het platform is verschenen. Daarin lees je wat de partnerschappen het afgelopen jaar hebben bereikt, hoeveel studenten zijn opgeleid en hoe het geld is besteed."),
        ("Jaarverslag 2025 verschenen", "Het jaarverslag van het platform is verschenen. Daarin lees je wat de partnerschappen het afgelopen jaar hebben bereikt, hoeveel studenten zijn opgeleid en hoe het geld is besteed."),
    ),
    (
        ("Themabijeenkomst 21 juni: flexibel opleiden", "Op 21 juni komen opleiders uit het hele land bijeen om te praten over flexibel opleiden. Het programma bestaat uit een lezing, drie rondes met werksessies en een borrel. Deelname is gratis."),
        ("Themabijeenkomst 5 juli: flexibel opleiden", "Op 5 juli komen opleiders uit het hele land bijeen om te praten over flexibel opleiden. Het programma bestaat uit een lezing, drie rondes met werksessies en een borrel. Deelname is gratis."),
    ),
    (
        ("Inloopavond in maart", "In maart kunnen belangstellenden langskomen op een inloopavond over werken in het onderwijs. Je spreekt leraren en opleiders, volgt een proefles en krijgt advies over de route die bij je past."),
        ("Inloopavond in november", "In november kunnen belangstellenden langskomen op een inloopavond over werken in het onderwijs. Je spreekt leraren en opleiders, volgt een proefles en krijgt advies over de route die bij je past."),
    ),
    (
        ("Webinar begeleiden van starters", "In dit webinar op dinsdag vertellen ervaren coaches hoe zij starters begeleiden in hun eerste jaar. Na afloop is er ruimte voor vragen, en deelnemers krijgen een bewijs van deelname."),
        ("Webinar begeleiden van starters", "In dit webinar op donderdag vertellen ervaren coaches hoe zij starters begeleiden in hun eerste jaar. Na afloop is er ruimte voor vragen, en deelnemers krijgen een bewijs van deelname."),
    ),
    (
        ("Nieuwsbrief week 46", "De nieuwe nieuwsbrief staat online. Lees deze week over de subsidieronde, een interview met een schoolopleider, drie tips voor intervisie en de agenda van de komende maand."),
        ("Nieuwsbrief week 47", "De nieuwe nieuwsbrief staat online. Lees deze week over de subsidieronde, een interview met een schoolopleider, drie tips voor intervisie en de agenda van de komende maand."),
    ),
    (
        ("Wrap-up gesprekstafels samen opleiden in de regio | PO", "In de eerste helft van het jaar hebben acht gesprekken plaatsgevonden in verschillende regio’s. Bestuurders en opleiders uit het PO spraken over een gezamenlijke ambitie voor samen opleiden."),
        ("Wrap-up gesprekstafels samen opleiden in de regio | VO", "In de eerste helft van het jaar hebben acht gesprekken plaatsgevonden in verschillende regio’s. Bestuurders en opleiders uit het VO spraken over een gezamenlijke ambitie voor samen opleiden."),
    ),
    (
        ("Interview | De bestuurder over doorlopend leren", "Een bestuurder vertelt hoe haar scholen werk maken van doorlopend leren. Zij gelooft in ruimte voor teams, een goed gesprek over ambities en leidinggevenden die zelf het voorbeeld geven."),
        ("Interview | De student over doorlopend leren", "Een student vertelt hoe hij op zijn stageschool werd opgenomen in het team. Hij leerde het meest van samen lessen voorbereiden en van fouten die hij mocht maken zonder dat iemand ingreep."),
    ),
    (
        ("Subsidieronde opleidingsscholen geopend", "Partnerschappen kunnen tot eind maart een aanvraag doen voor de nieuwe subsidieronde. Er is ruimte voor twintig nieuwe opleidingsscholen, met voorrang voor regio’s met grote tekorten."),
        ("Subsidieronde opleidingsscholen gesloten", "De subsidieronde voor opleidingsscholen is gesloten; er kwamen meer aanvragen binnen dan er geld is. Een commissie beoordeelt ze de komende weken en maakt voor de zomer de uitslag bekend."),
    ),
    (
        ("Tentoonstelling over honderd jaar kweekschool", "Het onderwijsmuseum toont hoe leraren honderd jaar geleden werden opgeleid. Te zien zijn schriften, wandplaten en foto’s van kwekelingen, en een nagebouwd leslokaal met lessenaars."),
        ("Lezing over honderd jaar kweekschool", "Een historicus vertelt hoe de kweekschool in een eeuw veranderde in de pabo van nu. De lezing in de bibliotheek begint om acht uur en is vrij toegankelijk, aanmelden is niet nodig."),
    ),
    (
        ("Examens vmbo begonnen", "Voor ruim negentigduizend leerlingen van het vmbo zijn vandaag de examens begonnen. Zij bogen zich als eerste over het examen Nederlands, dat volgens de eerste reacties goed te doen was."),
        ("Examens havo begonnen", "Voor ruim vijftigduizend leerlingen van de havo zijn vandaag de examens begonnen. Zij kregen als eerste het examen biologie, waarover bij de klachtenlijn al honderden meldingen binnenkwamen."),
    ),
    (
        ("School wint prijs voor gezonde kantine", "De kantine van een school in Zwolle is uitgeroepen tot de gezondste van het land. De jury was onder de indruk van het aanbod van fruit en van leerlingen die zelf achter de toonbank staan."),
        ("School wint prijs voor gezonde kantine", "De kantine van een school in Tilburg is uitgeroepen tot de gezondste van het land. De jury was onder de indruk van het aanbod van fruit en van leerlingen die zelf achter de toonbank staan."),
    ),
    (
        ("New principal for Riverside school", "The board of Riverside school has appointed a new principal. She will start after the summer and wants to work on reading, a calmer timetable and closer contact with parents in the neighbourhood."),
        ("New principal for Hillcrest school", "The board of Hillcrest school has appointed a new principal. She will start after the summer and wants to work on reading, a calmer timetable and closer contact with parents in the neighbourhood."),
    ),
    (
        ("Open dag lerarenopleiding Zuid", "Tijdens de open dag kun je colleges bijwonen, studenten spreken en je laten adviseren over voltijd, deeltijd en zij-instroom. Het gebouw van de opleiding Zuid is open van tien tot drie uur."),
        ("Open dag lerarenopleiding Noord", "Tijdens de open dag kun je colleges bijwonen, studenten spreken en je laten adviseren over voltijd, deeltijd en zij-instroom. Het gebouw van de opleiding Noord is open van tien tot drie uur."),
    ),
    (
        ("Rapport over begeleiding van starters", "Scholen begeleiden starters steeds beter, maar stoppen er te vroeg mee. Dat staat in een rapport van onderzoekers die drie jaar lang honderd beginnende leraren volgden op dertig scholen."),
        ("Kritiek op rapport over begeleiding van starters", "Het rapport over de begeleiding van starters geeft een vertekend beeld, vinden schoolbesturen. De onderzochte scholen zouden niet representatief zijn, en afspraken uit de cao ontbreken in de analyse."),
    ),
    (
        ("Tien tips voor het eerste lesbezoek", "Een lesbezoek is spannend, voor student en begeleider. Met deze tips wordt het een goed gesprek: spreek vooraf af waar je op let, kijk naar leerlingen en begin na afloop met wat goed ging."),
        ("Tien tips voor het eerste oudergesprek", "Een oudergesprek is spannend, voor leraar en ouders. Met deze tips wordt het een goed gesprek: bereid je voor, begin met iets positiefs, luister meer dan je praat en sluit af met een afspraak."),
    ),
    (
        ("Kabinet trekt 80 miljoen euro uit voor startende leraren", "Het kabinet trekt de komende vier jaar 80 miljoen euro uit voor de begeleiding van startende leraren. Dat heeft de minister aan de Tweede Kamer geschreven. Scholen kunnen uren vrijmaken voor coaches."),
        ("Kabinet trekt 35 miljoen euro uit voor zittende leraren", "Het kabinet trekt de komende vier jaar 35 miljoen euro uit voor de scholing van zittende leraren. Dat heeft de minister aan de Tweede Kamer geschreven. Scholen kunnen uren vrijmaken voor cursussen."),
    ),
    (
        ("Studiedag rekenen", "Tijdens deze studiedag staat rekenen centraal. Deelnemers gaan aan de slag met materialen, wisselen ervaringen uit en krijgen een overzicht van recent onderzoek. De kosten zijn inclusief lunch."),
        ("Studiedag spelling", "Tijdens deze studiedag staat spelling centraal. Deelnemers gaan aan de slag met materialen, wisselen ervaringen uit en krijgen een overzicht van recent onderzoek. De kosten zijn inclusief lunch."),
    ),
    (
        ("In memoriam: een bevlogen schoolopleider", "Met verdriet hebben wij kennisgenomen van het overlijden van onze collega. Jarenlang stond hij klaar voor studenten, met een grap, een kop koffie en een scherp oog voor wat zij al konden."),
        ("In memoriam: een geliefd bestuurder", "Met verdriet hebben wij kennisgenomen van het overlijden van onze oud-bestuurder. Zij bouwde aan de vereniging toen niemand er nog in geloofde en bleef tot het laatst betrokken bij de scholen."),
    ),
    (
        ("Schoolgebouw krijgt nieuwe ventilatie", "In de zomervakantie krijgt het gebouw van de basisschool nieuwe ventilatie. De gemeente betaalt het grootste deel, de werkzaamheden duren vijf weken en de speelplaats is dan gesloten."),
        ("Schoolgebouw krijgt nieuwe verlichting", "In de herfstvakantie krijgt het gebouw van de scholengemeenschap nieuwe verlichting. De lampen gebruiken de helft van de stroom, en de aula wordt in één moeite door opnieuw geschilderd."),
    ),
    (
        ("Onderwijsraad: geef leraren meer zeggenschap", "Leraren moeten meer te zeggen krijgen over hun professionele ontwikkeling, adviseert de Onderwijsraad. Nu bepalen besturen te vaak welke cursussen worden gevolgd en hoeveel tijd daarvoor is."),
        ("Onderwijsraad: geef schoolleiders meer ruimte", "Schoolleiders moeten meer ruimte krijgen om hun team te leiden, adviseert de Onderwijsraad. Nu besteden zij te veel tijd aan verantwoording en aan taken die een bestuursbureau kan doen."),
    ),
    (
        ("Agenda: intervisie voor werkplekbegeleiders", "Deze middag bespreek je met andere werkplekbegeleiders een vraag uit je eigen praktijk. Een ervaren gespreksleider begeleidt de groep. Locatie: De Meervaart. Er is plaats voor twaalf deelnemers."),
        ("Agenda: intervisie voor werkplekbegeleiders", "Deze middag bespreek je met andere werkplekbegeleiders een vraag uit je eigen praktijk. Een ervaren gespreksleider begeleidt de groep. Locatie: Het Baken. Er is plaats voor twaalf deelnemers."),
    ),
    (
        ("Begroting 2027: wat verandert er voor scholen?", "De begroting voor het onderwijs is bekend. Wij zetten op een rij wat er verandert voor scholen en opleidingen: van bekostiging en huisvesting tot de regelingen voor zij-instroom en samen opleiden."),
        ("Begroting 2026: wat verandert er voor scholen?", "De begroting voor het onderwijs is bekend. Wij zetten op een rij wat er verandert voor scholen en opleidingen: van bekostiging en huisvesting tot de regelingen voor zij-instroom en samen opleiden."),
    ),
    (
        ("Fusie van twee scholen gaat door", "De fusie van twee basisscholen aan de rand van het dorp gaat door, heeft het bestuur besloten. Na de zomer zitten alle leerlingen in één gebouw. De medezeggenschapsraad stemde onder voorwaarden in."),
        ("Fusie van twee scholen gaat niet door", "De fusie van twee middelbare scholen in de binnenstad is van de baan. De medezeggenschapsraad stemde tegen, omdat leerlingen te ver zouden moeten reizen en er geen plan was voor het personeel."),
    ),
    (
        ("Weekmenu voor de lerarenkamer", "Wat eten we deze week in de lerarenkamer? Maandag soep van pompoen, dinsdag een salade met linzen, en aan het eind van de week een taart van de ouders van groep acht. Recepten onderaan."),
        ("Weekmenu voor de lerarenkamer", "Wat eten we deze week in de lerarenkamer? Maandag broodjes met hummus, dinsdag een curry met spinazie, en aan het eind van de week pannenkoeken van de leerlingen zelf. Recepten onderaan."),
    ),
]  # fmt: skip
